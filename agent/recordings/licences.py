"""The licence in a recording's metadata and its enforcement: refused exports, and logged deletion on time.

`bandpact:licence` in a recording's `global` holds the terms of the class it was made under. Whoever edits the metadata
can remove them: they bind honest software, and document the agreement for others. Deletions are logged in
`deleted.jsonl` beside the recordings, each line with the hash of the one before it.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw_profiles.smallfile import read_small, read_small_text
from hw_profiles.wholefile import write_whole
from radio.errors import SourceError
from radio.recording.container import find
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.licence import judge_use, kept_until_ns
from settlement.records.classterms import LicenceTerms, Schema

KEY = "bandpact:licence"
LEDGER = "deleted.jsonl"
START = "0" * 64
META, DATA = ".sigmf-meta", ".sigmf-data"
LEDGER_MAX = 256 << 20
"""Most bytes of a deletion log: some 800,000 deletions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedLicence:
    """A recording's licence: the class, when it was made (UTC ns), the terms, how long it is retained."""

    commodity: str
    made_ns: int
    terms: LicenceTerms
    retention_ns: int | None = None


def stamp_of(schema: Schema, made_ns: int) -> dict[str, Any]:
    """Return the licence field of a recording's `global`; empty where the class has no licence."""
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
    """Return the licence in a recording's metadata; None without one. Raises SourceError."""
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
    """Copy a recording, metadata and data, to `out` where its licence permits; returns the refusal where not.

    Raises SourceError and OSError.
    """
    held = licence_of(meta)
    if held is not None:
        refusal = judge_use(held.terms, use=use, to=to, made_ns=held.made_ns, now_ns=now_ns)
        if refusal is not None:
            return refusal
    data = out.with_suffix(DATA)
    for place in (out, data):
        if os.path.lexists(place):
            return refuse(Reason.TERMS, "export.out", f"{place} exists already", "a new name")
    waiting = data.with_name(f".{data.name}.new")
    samples = _samples(meta)
    try:
        shutil.copyfile(samples, waiting)
        waiting.rename(data)
        write_whole(out, read_small(meta), replace=False)
    except BaseException:
        for place in (waiting, data):
            place.unlink(missing_ok=True)
        raise
    return None


def _samples(meta: Path) -> Path:
    """Return the recording's own file of samples. Raises SourceError.

    Metadata may name any file as its samples: a file of another base name is not copied or deleted.
    """
    stored = find(meta)
    os.close(stored.descriptor)
    if stored.data != meta.with_suffix(DATA):
        raise SourceError(
            f"{meta}: its samples are in {stored.data.name}, which is not its own file; see to it by hand"
        )
    return stored.data


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """Result for a folder: the deletions, and for each recording that could not be checked the reason."""

    deleted: tuple[Deletion, ...]
    left: tuple[str, ...]


def _due(meta: Path, now_ns: int) -> tuple[StampedLicence, str, int] | None:
    """Return a recording's expired licence, with the term and its end; None if it may be kept. Raises SourceError."""
    held = licence_of(meta)
    if held is None:
        return None
    until_ns, term = kept_until_ns(held.terms, held.retention_ns, held.made_ns)
    return (held, term, until_ns) if now_ns >= until_ns else None


def due_in(folder: Path, now_ns: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Return what `expire` would delete, with the term, and which recordings cannot be checked, with the reason."""
    found, left = list[tuple[str, str]](), list[str]()
    for meta in sorted(folder.glob("*" + META)):
        try:
            due = _due(meta, now_ns)
            if due is not None:
                _samples(meta)
                found.append((meta.name, due[1]))
        except SourceError as exc:
            left.append(str(exc))
    return found, left


def expire(folder: Path, now_ns: int) -> Expired:
    """Delete expired recordings; each deletion is in the log on disk before the recording is removed.

    An unreadable recording does not prevent the deletion of others. One process at a time runs this in a folder.
    Raises OSError.
    """
    done, left = list[Deletion](), list[str]()
    with _alone(folder):
        for meta in sorted(folder.glob("*" + META)):
            try:
                due = _due(meta, now_ns)
                if due is not None:
                    done.append(_deleted(meta, due, now_ns))
            except SourceError as exc:
                left.append(str(exc))
    return Expired(deleted=tuple(done), left=tuple(left))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for a lock, so that only one process deletes in this folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _deleted(meta: Path, due: tuple[StampedLicence, str, int], now_ns: int) -> Deletion:
    """Log one deletion, then delete the recording. Raises SourceError, OSError."""
    held, term, until_ns = due
    data, stored = _samples(meta), find(meta)
    try:
        digest = stored.sha512()
    finally:
        os.close(stored.descriptor)
    gone = Deletion(file=meta.name, sha512=digest, commodity=held.commodity, term=term, until_ns=until_ns, at_ns=now_ns)
    _tell(meta.with_name(LEDGER), gone)
    data.unlink(missing_ok=True)
    meta.unlink()
    return gone


def _tell(path: Path, gone: Deletion) -> None:
    """Append a line to the deletion log, whole or not at all; an incomplete line does not count."""
    held = read_small(path, limit=LEDGER_MAX) if path.is_file() else b""
    whole = held[: held.rfind(b"\n") + 1]
    lines = whole.splitlines()
    before = hashlib.sha256(lines[-1]).hexdigest() if lines else START
    fields = {name: getattr(gone, name) for name in Deletion.__slots__} | {"previous": before}
    write_whole(path, whole + json.dumps(fields, sort_keys=True).encode() + b"\n")


def check(folder: Path) -> tuple[int, str | None]:
    """Return the number of logged deletions, and what is wrong: a changed line, or a file that still exists."""
    path, before, count = folder / LEDGER, START, 0
    if path not in folder.iterdir():
        return 0, None
    for count, line in enumerate(read_small_text(path, limit=LEDGER_MAX).splitlines(), 1):
        try:
            fields = json.loads(line)
            named, previous = str(fields["file"]), fields["previous"]
        except (ValueError, KeyError, TypeError, RecursionError):
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
