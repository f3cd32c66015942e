"""Finds the lineages and the trust anchors a user points at, and has them verified."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.trial.collect import ANCHORS
from settlement.audit import Audited, audit_lineage
from settlement.crosscheck import cross_check


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
        "problems": list(audited.findings.problems),
    }


def verify(path: Path, *, anchors: Sequence[str] | None, network: str | None) -> dict[str, Any]:
    """Verify what lies at `path`. Raises AuditError when there is nothing to verify."""
    lineages = _lineages(path)
    name, trusted = _trust(path, anchors, network)
    audited = [audit_lineage(one, network=name, anchors=trusted) for one in lineages]
    crossed = cross_check(audited)
    sids = {sid for a in audited for sid, records in a.by_sid.items() if "confirm" in records}
    return {
        "ok": all(a.ok for a in audited) and not crossed.problems,
        "network": name,
        "lineages": [_row(a) for a in audited],
        "settlements": len(sids),
        "problems": list(crossed.problems),
    }
