"""Finds the lineages and the trust anchors that a user names, and verifies them."""

from collections.abc import Sequence
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import Any

from agent.audit.sources import ANCHORS, AuditError, found_at
from agent.config.files import node_file
from agent.words.shell import quoted
from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import write_whole
from settlement.audit.bundle import BUNDLE_LIMIT, bundled, make_bundle, verify_bundle
from settlement.audit.bundleform import START, LogInBundle
from settlement.audit.crosscheck import cross_check
from settlement.audit.findings import Audited, Findings, Outcome
from settlement.audit.kept import compare
from settlement.audit.verify import audit_lineage, why_no_lineage
from settlement.chain.lineage import LineageError
from settlement.core.reasons import Reason, Refusal

__all__ = [
    "BUNDLE",
    "AuditError",
    "NotALineage",
    "bundle",
    "is_bundle",
    "lineages",
    "logs_in_bundle",
    "read_bundle",
    "replay",
    "trust",
    "verify",
]
BUNDLE = ".bundle"
HASH_BYTES, NAME_BYTES = 32, 64


GIVE = "give a node's lineage.db, a sealed.db, a trial's folder or a .bundle"
NONE_HERE = "no lineage (*.db) in this folder; give a trial's report folder, a node's folder or a lineage"


class NotALineage(AuditError):
    """The file is no lineage and no bundle, whatever its name; this is not tampering."""


def lineages(path: Path) -> list[Path]:
    """The lineage files at `path`. Raises AuditError."""
    path = found_at(path).path
    if path.is_dir():
        found = sorted(path.glob("*.db"))
        if not found:
            raise AuditError(f"{path}: {NONE_HERE}")
        return [_lineage(one) for one in found]
    if not path.is_file():
        raise AuditError(f"{path}: no such file or folder; give a trial's report folder or a lineage")
    return [_lineage(path)]


def _lineage(path: Path) -> Path:
    """Check that a file has the form of a lineage. Raises AuditError: another file does not count as tampered with."""
    why = why_no_lineage(path)
    if why is not None:
        raise NotALineage(f"{path}: not a lineage ({why}); {GIVE}")
    return path


def _formed(path: Path) -> None:
    """Check that a path has the form of logs or of a bundle. Raises AuditError."""
    if is_bundle(path):
        read_bundle(path)
    else:
        lineages(path)


def trust(path: Path, anchors: Sequence[str] | None, network: str | None) -> tuple[str, list[bytes]]:
    """Return network and anchors, from the arguments or the anchors file beside the lineages. Raises AuditError."""
    if not path.exists():
        raise AuditError(f"{path}: no such file or folder; give a trial's report folder, a lineage or a bundle")
    found = found_at(path)
    path = found.path
    if anchors:
        if network is None:
            raise AuditError("--anchor needs --network as well; the coordinator's anchors file names it")
        pairs = [(network, anchor) for anchor in anchors]
    elif found.node is not None:
        pairs = [(found.node.network, anchor) for anchor in found.node.anchors]
    else:
        file = (path if path.is_dir() else path.parent) / ANCHORS
        if path.is_dir() and not any(path.glob("*.db")):
            raise AuditError(f"{path}: {NONE_HERE}")
        if not file.is_file():
            _formed(path)
            beside = node_file(path.parent)
            node = f"; or the node's folder, {quoted(path.parent)}" if beside.is_file() and path.is_file() else ""
            raise AuditError(f"{file}: no trust anchors here; give --network and --anchor{node}")
        lines = [line.split() for line in read_small(file).decode("utf-8", "replace").splitlines() if line.strip()]
        if not lines or any(len(line) != 2 for line in lines):
            raise AuditError(f"{file}: each line is a network's name and an anchor; mend it or give --anchor")
        pairs = [(line[0], line[1]) for line in lines]
    if any(not 1 <= len(name.encode()) <= NAME_BYTES for name, _ in pairs):
        raise AuditError(f"--network: a network's name has 1 to {NAME_BYTES} bytes; the anchors file has it")
    if len({name for name, _ in pairs}) > 1:
        raise AuditError(f"the anchors are of {len({name for name, _ in pairs})} networks; give one with --network")
    try:
        trusted = [bytes.fromhex(anchor) for _, anchor in pairs]
    except ValueError as exc:
        raise AuditError(f"anchor: {exc}; each is 64 hexadecimal digits") from exc
    if any(len(anchor) != HASH_BYTES for anchor in trusted):
        raise AuditError("anchor: of the wrong length; each is 64 hexadecimal digits")
    return pairs[0][0], trusted


def _row(audited: Audited) -> dict[str, Any]:
    return {
        "file": audited.path.name,
        "origin": audited.origin,
        "records": audited.records,
        "own": audited.own,
        "refused": audited.refused.total(),
        "refused_by_reason": dict(sorted(audited.refused.items())),
        "root": audited.root.hex(),
        "sealed": audited.sealed,
        "replayed": audited.replayed,
        "status_lists": [
            {"author": t.author, "version": t.version, "least_ms": t.least_ns / 1e6, "most_ms": t.most_ns / 1e6}
            for t in audited.lists
        ],
        "pruned": [
            {"kind": one.kind, "class": one.commodity, "rule": one.rule.hex(), "entries": one.count}
            for one in audited.prunings.shown()
        ],
        "problems": list(audited.findings.problems),
        "warnings": list(audited.warnings),
    }


def _bundle(path: Path, anchors: Sequence[str] | None, network: str | None) -> dict[str, Any]:
    """Verify a bundle. Raises AuditError where the file is none."""
    name, trusted = trust(path, anchors, network)
    outcome = verify_bundle(read_bundle(path), network=name, anchors=trusted)
    if isinstance(outcome, Refusal):
        if outcome.reason is not Reason.DOMAIN:
            raise NotALineage(f"{path}: not a whole bundle ({outcome}); {GIVE}")
        return _summary(name, [], [str(outcome)], outcome=Outcome.WRONG_ANCHOR)
    summary = _summary(name, list(outcome.logs), list(outcome.crossed.problems))
    summary["forks"] = _forks(outcome.crossed)
    for row in summary["lineages"]:
        row["sealed"] = None
    return summary


def read_bundle(path: Path) -> bytes:
    """The bytes of a bundle. Raises AuditError."""
    if path.stat().st_size > BUNDLE_LIMIT:
        raise NotALineage(f"{path}: larger than any bundle, {BUNDLE_LIMIT} bytes at the most")
    try:
        with path.open("rb") as file:
            start = file.read(len(START))
            if start != START:
                raise NotALineage(f"{path}: not a bundle: it does not begin as one; {GIVE}")
            return start + file.read(BUNDLE_LIMIT)
    except OSError as exc:
        raise AuditError(f"{path}: {exc.strerror}") from exc


def is_bundle(path: Path) -> bool:
    """Return whether a path names a bundle, and not a log or a folder of logs."""
    return path.is_file() and path.suffix == BUNDLE


def logs_in_bundle(path: Path) -> tuple[LogInBundle, ...]:
    """Return the logs of a bundle, with only its form checked. Raises AuditError."""
    found = bundled(read_bundle(path))
    if isinstance(found, Refusal):
        raise NotALineage(f"{path}: not a whole bundle ({found})")
    return found


def bundle(path: Path, target: Path, *, anchors: Sequence[str] | None, network: str | None) -> int:
    """Pack the lineages at `path` into one new file; returns its size. Raises AuditError."""
    name, _ = trust(path, anchors, network)
    paths = lineages(path)
    try:
        data = make_bundle(paths, network=name)
    except LineageError as exc:
        raise AuditError(str(exc)) from exc
    if isinstance(data, Refusal):
        raise AuditError(f"{path}: {data}; bundle the sealed copies that a node leaves when it stops")
    try:
        write_whole(target, data, replace=False)
    except OSError as exc:
        raise AuditError(f"{target}: {exc.strerror}; choose a new file in a folder you can write to") from exc
    return len(data)


def replay(path: Path, *, anchors: Sequence[str] | None, network: str | None) -> dict[str, Any]:
    """Verify the lineages at `path`, and compare the state kept beside each log with its entries. Raises AuditError."""
    outcome = verify(path, anchors=anchors, network=network)
    if is_bundle(path):
        return outcome
    name, trusted = trust(path, anchors, network)
    for row, one in zip(outcome["lineages"], lineages(path), strict=True):
        if row["problems"]:
            continue
        found = compare(one, network=name, anchors=trusted)
        row["kept"] = {
            "checked": found.checked,
            "differing": len(found.differences),
            "unsaid": found.unsaid,
            "differences": [str(difference) for difference in found.differences],
        }
        if found.differences and outcome["outcome"] in (Outcome.VERIFIED, Outcome.NOT_SEALED):
            outcome["ok"], outcome["outcome"] = False, Outcome.DIFFERS
    return outcome


def verify(path: Path, *, anchors: Sequence[str] | None, network: str | None) -> dict[str, Any]:
    """Verify the lineages at `path`. Raises AuditError when there is nothing to verify."""
    name, trusted = trust(path, anchors, network)
    if is_bundle(path):
        return _bundle(path, anchors, network)
    audited = [audit_lineage(one, network=name, anchors=trusted) for one in lineages(path)]
    crossed = cross_check(audited)
    return {**_summary(name, audited, list(crossed.problems)), "forks": _forks(crossed)}


def _forks(crossed: Findings) -> list[dict[str, Any]]:
    """Return each fork's proof: a head its owner signed, the contradicting root, whether that is the newest head's."""
    return [
        {
            "log": fork.origin,
            "size": fork.size,
            "signed": fork.signed,
            "held_by": fork.holder,
            "other_root": fork.other.hex(),
            "newest": fork.other_note,
            "consistency": [one.hex() for one in fork.consistency],
        }
        for fork in crossed.forks
    ]


def _outcome(audited: list[Audited], problems: list[str]) -> Outcome:
    """Return TAMPERED where any check fails, except where the only failure is a missing anchor."""
    wrong = [one for one in audited if not one.ok]
    if problems or not all(one.stranger for one in wrong):
        return Outcome.TAMPERED
    if wrong:
        return Outcome.WRONG_ANCHOR
    return Outcome.NOT_SEALED if any(one.warnings for one in audited) else Outcome.VERIFIED


def _summary(
    name: str, audited: list[Audited], problems: list[str], *, outcome: Outcome | None = None
) -> dict[str, Any]:
    settled = sum(1 for _ in groupby(merge(*(one.held.confirmed() for one in audited))))
    rows = [_row(a) for a in audited]
    return {
        "ok": all(a.ok for a in audited) and not problems,
        "outcome": outcome or _outcome(audited, problems),
        "network": name,
        "lineages": rows,
        "settlements": settled,
        "reviews": [
            {"file": a.path.name, "subject": review.subject.hex(), "why": review.why}
            for a in audited
            for review in a.reviews
        ],
        "problems": problems,
        "warnings": [f"{row['file']}: {warning}" for row in rows for warning in row["warnings"]],
    }
