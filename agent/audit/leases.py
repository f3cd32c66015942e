"""Reads leases and trial metrics out of the lineages a user points at."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.audit.lineages import AuditError, lineages, trust
from agent.words.celltext import cell_text
from settlement.audit.lease import GATE, Lease, LogEntry, Transition, leases, read_entries
from settlement.audit.leasefields import fields_of
from settlement.audit.leaseproof import prove_lease, verify_lease
from settlement.audit.verify import last_head, raw_entries
from settlement.chain.credentials import Registry
from settlement.core.reasons import Refusal


def entries_at(
    path: Path, *, anchors: Sequence[str] | None, network: str | None
) -> dict[str, tuple[list[LogEntry], Registry, Path]]:
    """Entries of every lineage at `path`, by its name, with the credentials found in it. Raises AuditError."""
    name, trusted = trust(path, anchors, network)
    found = {}
    for one in lineages(path):
        registry = Registry(name, trusted)
        found[one.stem] = (list(read_entries(enumerate(raw_entries(one)), registry)), registry, one)
    return found


def listed(
    path: Path, *, anchors: Sequence[str] | None, network: str | None, as_of_ns: int | None
) -> list[dict[str, Any]]:
    """One row for every lease in every log. Raises AuditError."""
    return [
        {"log": log, **_row(lease)}
        for log, (entries, _, _) in entries_at(path, anchors=anchors, network=network).items()
        for lease in leases(entries, as_of_ns=as_of_ns).values()
    ]


def shown(
    path: Path, lease: str, *, anchors: Sequence[str] | None, network: str | None, as_of_ns: int | None
) -> list[dict[str, Any]]:
    """A lease whose id begins like that, in every log that knows it, with its history and whether that is proven."""
    name, trusted = trust(path, anchors, network)
    rows = []
    for log, (entries, registry, file) in entries_at(path, anchors=anchors, network=network).items():
        found = [one for sid, one in leases(entries, as_of_ns=as_of_ns).items() if sid.hex().startswith(lease.lower())]
        if len(found) > 1:
            raise AuditError(f"{lease}: {len(found)} leases begin like this; give more digits")
        for one in found:
            proven = _proven(one, file, registry, name, trusted)
            at_ns = time.time_ns() if as_of_ns is None else as_of_ns
            told = asdict(fields_of(one, entries, registry, at_ns))
            rows.append({"log": log, **_row(one), **told, "proven": proven, "history": [_move(t) for t in one.history]})
    if not rows:
        raise AuditError(f"{lease}: no lease begins like this; see bandpact lease list")
    return rows


def _proven(lease: Lease, file: Path, registry: Registry, network: str, anchors: list[bytes]) -> str:
    """The newest signed head that covers the whole log proves the entries; else why not."""
    bodies, head = list(raw_entries(file)), last_head(file)
    if head is None or head[0] != len(bodies):
        return "no signed head over the whole log yet"
    outcome = verify_lease(prove_lease(lease, bodies, registry, head[1]), network=network, anchors=anchors)
    return str(outcome) if isinstance(outcome, Refusal) else "yes"


def _row(lease: Lease) -> dict[str, Any]:
    return {
        "lease": lease.sid.hex(),
        "state": lease.state.value if lease.state else None,
        "transitions": sum(1 for t in lease.history if not t.refused and t.action != GATE),
        "refused": sum(1 for t in lease.history if t.refused),
        "ends_ns": lease.ends_ns,
        "low_hz": None if lease.cell is None else lease.cell.band.low_hz,
        "high_hz": None if lease.cell is None else lease.cell.band.high_hz,
        "starts_ns": None if lease.cell is None else lease.cell.window.start_ns,
        "eirp_mdbm": lease.eirp_mdbm,
        "about": "" if lease.cell is None else cell_text(lease.cell, lease.eirp_mdbm),
    }


def _move(transition: Transition) -> dict[str, Any]:
    return {
        "actor": transition.actor,
        "action": transition.action,
        "previous": transition.previous.value if transition.previous else None,
        "state": transition.state.value if transition.state else None,
        "refused": transition.refused,
        "result": transition.result,
        "evidence": transition.evidence.hex(),
        "entry": transition.entry,
        "arrived_ns": transition.arrived_ns,
    }
