"""Reads leases and trial metrics from the lineages that a user names."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.audit.lineages import AuditError, is_bundle, lineages, logs_in_bundle, trust
from agent.words.celltext import cell_text
from settlement.audit.lease import GATE, Lease, LogEntry, Transition, leases, read_entries
from settlement.audit.leasefields import fields_of
from settlement.audit.leaseproof import prove_lease, verify_lease
from settlement.audit.verify import last_head, raw_entries
from settlement.chain.credentials import Registry
from settlement.chain.lineage import LineageError
from settlement.core.reasons import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead:
    """A log after reading: its entries, its credentials, their bytes, and its newest signed head.

    `head` is (size, text) of the head, None without a signed head.
    """

    entries: list[LogEntry]
    registry: Registry
    bodies: Sequence[bytes]
    head: tuple[int, str] | None


def _bodies_at(path: Path) -> Iterator[tuple[str, Sequence[bytes], tuple[int, str] | None]]:
    """Yield name, entries and newest head of each log at `path`: a file, a folder or a bundle. Raises AuditError."""
    if is_bundle(path):
        for log in logs_in_bundle(path):
            yield log.origin.rpartition("/")[2], log.entries, (len(log.entries), log.checkpoint)
        return
    for one in lineages(path):
        try:
            yield one.stem, list(raw_entries(one)), last_head(one)
        except LineageError as exc:
            raise AuditError(str(exc)) from exc


def logs_at(path: Path, *, anchors: Sequence[str] | None, network: str | None) -> dict[str, LogRead]:
    """Return every log at `path`, by name. Raises AuditError."""
    name, trusted = trust(path, anchors, network)
    found = {}
    for log, bodies, head in _bodies_at(path):
        registry = Registry(name, trusted)
        found[log] = LogRead(
            entries=list(read_entries(enumerate(bodies), registry)), registry=registry, bodies=bodies, head=head
        )
    return found


def listed(
    path: Path, *, anchors: Sequence[str] | None, network: str | None, as_of_ns: int | None
) -> list[dict[str, Any]]:
    """Return one row for every lease in every log. Raises AuditError."""
    return [
        {"log": log, **_row(lease)}
        for log, read in logs_at(path, anchors=anchors, network=network).items()
        for lease in leases(read.entries, as_of_ns=as_of_ns).values()
    ]


def shown(
    path: Path, lease: str, *, anchors: Sequence[str] | None, network: str | None, as_of_ns: int | None
) -> list[dict[str, Any]]:
    """Return a lease, by the beginning of its id, as each log has it, with history and proof."""
    name, trusted = trust(path, anchors, network)
    rows = []
    for log, read in logs_at(path, anchors=anchors, network=network).items():
        every = leases(read.entries, as_of_ns=as_of_ns)
        found = [one for sid, one in every.items() if sid.hex().startswith(lease.lower())]
        if len(found) > 1:
            raise AuditError(f"{lease}: {len(found)} leases begin like this; give more digits")
        for one in found:
            proven = _proven(one, read, name, trusted)
            at_ns = time.time_ns() if as_of_ns is None else as_of_ns
            told = asdict(fields_of(one, read.entries, read.registry, at_ns))
            rows.append({"log": log, **_row(one), **told, "proven": proven, "history": [_move(t) for t in one.history]})
    if not rows:
        raise AuditError(f"{lease}: no lease begins like this; see bandpact lease list")
    return rows


def _proven(lease: Lease, read: LogRead, network: str, anchors: list[bytes]) -> str:
    """Return how the newest signed head proves the whole log; else why it does not."""
    if read.head is None or read.head[0] != len(read.bodies):
        return "no signed head over the whole log yet"
    proof = prove_lease(lease, read.bodies, read.registry, read.head[1])
    outcome = verify_lease(proof, network=network, anchors=anchors)
    return str(outcome) if isinstance(outcome, Refusal) else "yes"


def _row(lease: Lease) -> dict[str, Any]:
    return {
        "lease": lease.sid.hex(),
        "state": lease.state.value if lease.state else None,
        "transitions": sum(1 for t in lease.history if not t.refused and t.action != GATE),
        "refused": sum(1 for t in lease.history if t.refused),
        "refusal": lease.refusal,
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
