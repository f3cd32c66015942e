"""Collects the records of one settlement from logs, for an auditor or a co-signer that disputes it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.audit.leases import logs_at
from agent.audit.lineages import AuditError
from settlement.chain.records import Record
from settlement.records.complaint import EVIDENCE_MAX, Dispute, Ruling
from settlement.records.complaintterms import MISAPPLIED
from settlement.records.decision import Confirm
from settlement.records.grant import Accept, Grant
from settlement.records.market import Request
from settlement.state.evidence import OF_THE_SETTLEMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRecords:
    """GRANT, ACCEPT and CONFIRM of a settlement as bytes, and the names of the records that bear on a ground.

    For a disputed settlement, the ruling on it follows, where the logs hold one.
    """

    sid: bytes
    raws: tuple[bytes, ...]
    evidence: tuple[bytes, ...]


def records_of(
    path: Path, prefix: str, ground: str, *, anchors: Sequence[str] | None, network: str | None
) -> SettlementRecords:
    """Return the settlement whose id begins with `prefix`, from all logs at `path`. Raises AuditError."""
    return _gathered(_admitted(path, anchors, network), prefix, ground)


def disputed_records(
    path: Path, prefix: str, *, anchors: Sequence[str] | None, network: str | None
) -> SettlementRecords:
    """Return the settlement of the dispute whose name begins with `prefix`, and its ruling. Raises AuditError."""
    found = _admitted(path, anchors, network)
    disputes = {name: one for name, one in found.items() if isinstance(one.body, Dispute)}
    named = [name for name in disputes if name.hex().startswith(prefix.lower())]
    if len(named) != 1:
        known = ", ".join(name.hex()[:12] for name in list(disputes)[:8]) or "none"
        raise AuditError(f"{len(named)} disputes begin with {prefix!r} there; there are: {known}")
    about = disputes[named[0]].body
    records = _gathered(found, about.sid.hex(), about.grounds)
    rulings = [one.raw for one in found.values() if isinstance(one.body, Ruling) and one.body.dispute == named[0]]
    return replace(records, raws=(*records.raws, *rulings[:1]))


def _admitted(path: Path, anchors: Sequence[str] | None, network: str | None) -> dict[bytes, Record]:
    """Return every record that a log at `path` admitted, by its name. Raises AuditError."""
    found: dict[bytes, Record] = {}
    for read in logs_at(path, anchors=anchors, network=network).values():
        for entry in read.entries:
            if entry.record is not None and entry.leaf.admitted:
                found.setdefault(entry.record.digest, entry.record)
    return found


def _gathered(found: dict[bytes, Record], prefix: str, ground: str) -> SettlementRecords:
    """Select the records that a settlement and a ground need. Raises AuditError."""
    confirms = {one.sid: one for one in found.values() if isinstance(one.body, Confirm)}
    named = [sid for sid in confirms if sid is not None and sid.hex().startswith(prefix.lower())]
    if len(named) != 1:
        known = ", ".join(sid.hex()[:12] for sid in list(confirms)[:8] if sid is not None) or "none"
        raise AuditError(f"{len(named)} confirmed settlements begin with {prefix!r} there; there are: {known}")
    sid = named[0]
    confirm = confirms[sid]
    grant, accept = found.get(confirm.body.grant), found.get(confirm.body.accept)
    if grant is None or accept is None or not isinstance(grant.body, Grant) or not isinstance(accept.body, Accept):
        raise AuditError(f"{prefix}: the logs hold its CONFIRM, but not the GRANT and the ACCEPT that it is over")
    evidence = tuple(dict.fromkeys(_evidence(found, sid, grant, ground)))[-EVIDENCE_MAX:]
    return SettlementRecords(sid=sid, raws=(grant.raw, accept.raw, confirm.raw), evidence=evidence)


def _evidence(found: dict[bytes, Record], sid: bytes, grant: Record, ground: str) -> Iterator[bytes]:
    """Yield the names of the settlement's own records by which the ground is judged."""
    kinds: tuple[type[Any], ...] = OF_THE_SETTLEMENT.get(ground, ())
    for name, record in found.items():
        if record.sid == sid and isinstance(record.body, kinds):
            yield name
            offer = getattr(record.body, "declaration", None)
            if offer in found:
                yield offer
    request = found.get(grant.body.request) if ground == MISAPPLIED else None
    if request is not None and isinstance(request.body, Request):
        yield request.digest
        if request.body.declaration in found:
            yield request.body.declaration
