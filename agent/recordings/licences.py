"""The licence in a recording's metadata, and what follows from it: export that refuses, deletion on time that is told.

`bandpact:licence` in a recording's `global` holds the terms of the class it was made under. Whoever edits the metadata
can take them out: they bind honest software, and say to everybody else what was agreed. Deletions are told in
`deleted.jsonl` beside the recordings, each line with the hash of the one before it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw_profiles.smallfile import read_small, read_small_text
from radio.errors import SourceError
from radio.recording.container import find
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.licence import judge_use, kept_until_ns
from settlement.records.classterms import LicenceTerms, Schema

KEY = "bandpact:licence"
LEDGER = "deleted.jsonl"
START = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedLicence:
    """A recording's licence: the class, when it was made (UTC ns), the terms, how long it is retained."""

    commodity: str
    made_ns: int
    terms: LicenceTerms
    retention_ns: int | None = None


def stamp_of(schema: Schema, made_ns: int) -> dict[str, Any]:
    """The field of a recording's `global` that holds its licence; nothing where the class has none."""
    if schema.licence is None:
        return {}
    retained = next((one.keep_ns for one in schema.retention or () if one.what == "recordings"), None)
    terms = schema.licence
    held = {
        "class": schema.commodity,
        "version": schema.version,
        "made_ns": made_ns,
        "use": list(terms.use),
        "keep_ns": terms.keep_ns,
        "aggregate": terms.aggregate,
        "redistribute": terms.redistribute,
    }
    return {KEY: held | ({"retention_ns": retained} if retained is not None else {})}


def licence_of(path: Path) -> StampedLicence | None:
    """The licence in a recording's metadata; None where it has none. Raises SourceError."""
    try:
        meta = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError) as exc:
        raise SourceError(f"{path}: {exc}; give the .sigmf-meta of a recording") from exc
    held = meta.get("global", {}).get(KEY) if isinstance(meta, dict) and isinstance(meta.get("global"), dict) else None
    return None if held is None else _read(held, path)


def _read(held: Any, path: Path) -> StampedLicence:
    if not isinstance(held, Mapping):
        raise SourceError(f"{path}: {KEY}: not an object; record it anew")
    numbers = {name: held.get(name) for name in ("made_ns", "keep_ns")}
    texts = {name: held.get(name) for name in ("class", "aggregate", "redistribute")}
    use, retained = held.get("use"), held.get("retention_ns")
    bad = [name for name, value in numbers.items() if type(value) is not int or value < 0]
    bad += [name for name, value in texts.items() if not isinstance(value, str)]
    bad += ["use"] if not isinstance(use, list) or not use or not all(isinstance(one, str) for one in use) else []
    bad += ["retention_ns"] if retained is not None and (type(retained) is not int or retained < 0) else []
    if bad:
        raise SourceError(f"{path}: {KEY}.{bad[0]}: cannot be read; nothing is done with a recording of unknown terms")
    terms = LicenceTerms(
        use=tuple(use or ()),
        keep_ns=numbers["keep_ns"] or 0,
        aggregate=texts["aggregate"] or "",
        redistribute=texts["redistribute"] or "",
    )
    senseless = terms.meaning_flaw()
    if senseless is not None:
        raise SourceError(f"{path}: {KEY}{senseless[0]}: {senseless[1]}; required: {senseless[2]}")
    return StampedLicence(
        commodity=texts["class"] or "", made_ns=numbers["made_ns"] or 0, terms=terms, retention_ns=retained
    )


def export(meta: Path, out: Path, *, use: str, to: str, now_ns: int) -> Refusal | None:
    """Copy a recording, meta and data, to `out` where its licence lets it go there; why not, where it does not.

    Raises SourceError and OSError.
    """
    held = licence_of(meta)
    if held is not None:
        refusal = judge_use(held.terms, use=use, to=to, made_ns=held.made_ns, now_ns=now_ns)
        if refusal is not None:
            return refusal
    if out.exists():
        return refuse(Reason.TERMS, "export.out", f"{out} exists already", "a new name")
    data = meta.with_suffix(".sigmf-data")
    shutil.copyfile(data, out.with_suffix(".sigmf-data"))
    shutil.copyfile(meta, out)
    return None


# -- retention ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """One recording that was deleted: its name, the hash of its samples, its class, by which term and since when."""

    file: str
    sha512: str
    commodity: str
    term: str
    until_ns: int
    at_ns: int


def due_in(folder: Path, now_ns: int) -> list[tuple[Path, StampedLicence, str, int]]:
    """Recordings of a folder that may not be kept any longer, with the term and its end. Raises SourceError."""
    found = []
    for meta in sorted(folder.glob("*.sigmf-meta")):
        held = licence_of(meta)
        if held is None:
            continue
        until_ns, term = kept_until_ns(held.terms, held.retention_ns, held.made_ns)
        if now_ns >= until_ns:
            found.append((meta, held, term, until_ns))
    return found


def expire(folder: Path, now_ns: int) -> list[Deletion]:
    """Delete what may not be kept any longer; each deletion is on disk in the ledger before the recording goes.

    Raises SourceError where a licence cannot be read, OSError.
    """
    done = []
    for meta, held, term, until_ns in due_in(folder, now_ns):
        stored = find(meta)
        try:
            digest = stored.sha512()
        finally:
            os.close(stored.descriptor)
        gone = Deletion(
            file=meta.name,
            sha512=digest,
            commodity=held.commodity,
            term=term,
            until_ns=until_ns,
            at_ns=now_ns,
        )
        _tell(folder / LEDGER, gone)
        stored.data.unlink(missing_ok=True)
        meta.unlink()
        done.append(gone)
    return done


def _tell(path: Path, gone: Deletion) -> None:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    before = hashlib.sha256(lines[-1].encode()).hexdigest() if lines else START
    fields = {name: getattr(gone, name) for name in Deletion.__slots__} | {"previous": before}
    with path.open("a", encoding="utf-8") as out:
        out.write(json.dumps(fields, sort_keys=True) + "\n")
        out.flush()
        os.fsync(out.fileno())


def check(folder: Path) -> tuple[int, str | None]:
    """How many deletions the ledger tells of, and what is wrong: a line changed, or a file that is still there."""
    path, before, count = folder / LEDGER, START, 0
    if not path.is_file():
        return 0, None
    for count, line in enumerate(read_small_text(path).splitlines(), 1):
        try:
            fields = json.loads(line)
            named, previous = str(fields["file"]), fields["previous"]
        except (ValueError, KeyError, TypeError):
            return count, f"line {count}: cannot be read"
        if previous != before:
            return (
                count,
                f"line {count}: follows {str(previous)[:16]}, not {before[:16]}: a line was changed or taken out",
            )
        if Path(named).name == named and (folder / named).exists() and _same(folder / named, fields):
            return count, f"line {count}: {named} is told as deleted and is still there"
        before = hashlib.sha256(line.encode()).hexdigest()
    return count, None


def _same(meta: Path, fields: Mapping[str, Any]) -> bool:
    data = meta.with_suffix(".sigmf-data")
    return data.is_file() and hashlib.sha512(data.read_bytes()).hexdigest() == fields.get("sha512")
