"""Finds the lineages and the trust anchors a user points at, and has them verified."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.trial.collect import ANCHORS
from settlement.audit import Audited, audit_lineage, entries
from settlement.bundle import make_bundle, verify_bundle
from settlement.chain.admission import proven
from settlement.chain.credentials import Registry
from settlement.chain.leaf import Leaf
from settlement.crosscheck import cross_check
from settlement.reasons import Refusal

BUNDLE = ".bundle"


class AuditError(Exception):
    """There is nothing to verify, or nothing to verify it with: one line with the mend."""


def _lineages(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(path.glob("*.db"))
        if not found:
            raise AuditError(f"{path}: no lineage (*.db) in this folder; give a trial's report folder or a lineage")
        return found
    if not path.is_file():
        raise AuditError(f"{path}: no such file or folder; give a trial's report folder or a lineage")
    return [path]


def _trust(path: Path, anchors: Sequence[str] | None, network: str | None) -> tuple[str, list[bytes]]:
    """Network and anchors, as said or from the anchors file beside the lineages."""
    if anchors:
        if network is None:
            raise AuditError("--anchor needs --network as well; the coordinator's anchors file names it")
        pairs = [(network, anchor) for anchor in anchors]
    else:
        file = (path if path.is_dir() else path.parent) / ANCHORS
        if not file.is_file():
            raise AuditError(f"{file}: no trust anchors here; give --network and --anchor")
        lines = [line.split() for line in file.read_text(errors="replace").splitlines() if line.strip()]
        if not lines or any(len(line) != 2 for line in lines):
            raise AuditError(f"{file}: each line is a network's name and an anchor; mend it or give --anchor")
        pairs = [(line[0], line[1]) for line in lines]
    try:
        return pairs[0][0], [bytes.fromhex(anchor) for _, anchor in pairs]
    except ValueError as exc:
        raise AuditError(f"anchor: {exc}; each is 64 hexadecimal digits") from exc


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
        "problems": list(audited.findings.problems),
    }


def _bundle(path: Path, anchors: Sequence[str] | None, network: str | None) -> dict[str, Any]:
    """Verify a bundle; its bytes being refused is a finding like any other."""
    name, trusted = _trust(path, anchors, network)
    outcome = verify_bundle(path.read_bytes(), network=name, anchors=trusted)
    if isinstance(outcome, Refusal):
        return {"ok": False, "network": name, "lineages": [], "settlements": 0, "problems": [str(outcome)]}
    return _summary(name, list(outcome.logs), list(outcome.crossed.problems))


def bundle(path: Path, target: Path, *, anchors: Sequence[str] | None, network: str | None) -> int:
    """Pack the lineages at `path` into one new file; returns its size. Raises AuditError."""
    name, _ = _trust(path, anchors, network)
    data = make_bundle(_lineages(path), network=name)
    if isinstance(data, Refusal):
        raise AuditError(f"{path}: {data}; bundle the sealed copies that a node leaves when it stops")
    try:
        with target.open("xb") as file:
            file.write(data)
    except OSError as exc:
        raise AuditError(f"{target}: {exc.strerror}; choose a new file in a folder you can write to") from exc
    return len(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries to show; None shows all."""

    sid: str | None = None
    typ: str | None = None
    reason: str | None = None
    node: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    def takes(self, row: dict[str, Any]) -> bool:
        """Does the filter let a row through?"""
        at_ns = row["arrived_ns"]
        return (
            (self.sid is None or str(row["sid"] or "").startswith(self.sid))
            and (self.typ is None or row["type"] == self.typ)
            and (self.reason is None or row["reason"] == self.reason)
            and (self.node is None or row["author"] == self.node)
            and (self.since_ns is None or at_ns >= self.since_ns)
            and (self.until_ns is None or at_ns < self.until_ns)
        )


def shown(path: Path, wanted: Wanted, *, anchors: Sequence[str] | None, network: str | None) -> list[dict[str, Any]]:
    """Entries of the lineages at `path` that the filter takes, in order. Raises AuditError."""
    name, trusted = _trust(path, anchors, network)
    rows: list[dict[str, Any]] = []
    for one in _lineages(path):
        registry = Registry(name, trusted)
        rows += [_entry(one.stem, n, leaf, registry) for n, leaf in enumerate(entries(one))]
    return [row for row in rows if wanted.takes(row)]


def _entry(log: str, number: int, leaf: Leaf, registry: Registry) -> dict[str, Any]:
    record = proven(leaf.record, registry) if leaf.record is not None else None
    author = registry.get(record.frame.author) if record else None
    sid = record.sid if record else None
    return {
        "log": log,
        "entry": number,
        "arrived_ns": leaf.arrived_earliest_ns,
        "type": record.typ if record else None,
        "author": author.name if author else None,
        "sid": sid.hex() if sid else None,
        "admitted": bool(leaf.admitted),
        "reason": leaf.reason,
        "clause": leaf.clause,
        "measured": leaf.measured,
        "required": leaf.required,
        "digest": leaf.subject.hex(),
    }


def verify(path: Path, *, anchors: Sequence[str] | None, network: str | None) -> dict[str, Any]:
    """Verify what lies at `path`. Raises AuditError when there is nothing to verify."""
    if path.is_file() and path.suffix == BUNDLE:
        return _bundle(path, anchors, network)
    lineages = _lineages(path)
    name, trusted = _trust(path, anchors, network)
    audited = [audit_lineage(one, network=name, anchors=trusted) for one in lineages]
    return _summary(name, audited, list(cross_check(audited).problems))


def _summary(name: str, audited: list[Audited], problems: list[str]) -> dict[str, Any]:
    sids = {sid for a in audited for sid, records in a.by_sid.items() if "confirm" in records}
    return {
        "ok": all(a.ok for a in audited) and not problems,
        "network": name,
        "lineages": [_row(a) for a in audited],
        "settlements": len(sids),
        "problems": problems,
    }
