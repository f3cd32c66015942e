"""The fields of a lease by name: its identity, which never changes, and its state, which the log changes.

permission_id      the settlement's id            active_scope       the bands in which its user may transmit now
issuer_id          the holder's credential        usage_count        bursts that its user reported
subject_id         the user's credential          trust_level        the level of its user's credential
scope_definition   cell, class, tier and EIRP     expiry_status      not begun, running, over
issued_at          when the CONFIRM was signed    revocation_status  none, suspended, under review, or how it ended
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from settlement.audit.lease import Lease, LeaseMark, LeaseState, LogEntry
from settlement.chain.bodies import Abort, Confirm, Grant, Preempt, Relinquish, Resume, Suspend, Usage
from settlement.chain.credentials import Registry
from settlement.chain.records import Record
from settlement.chain.scope import Band, Cell
from settlement.records.handingterms import TRANSFER
from settlement.records.handover import Handover, Reclaim, Vacated

ENDS: dict[type[Any], str] = {Abort: "aborted", Preempt: "preempted", Relinquish: "relinquished"}
PAUSES: dict[type[Any], str] = {Suspend: "suspended", Resume: "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFields:
    """The fields of a lease as one log shows them; None where the log does not say."""

    permission_id: str
    issuer_id: str | None
    subject_id: str | None
    scope_definition: dict[str, Any] | None
    issued_at: int | None
    active_scope: list[list[int]]
    usage_count: int
    trust_level: str | None
    expiry_status: str
    revocation_status: str
    handed_to: list[str]
    """Parties to whom the lease was handed on and from whom it has not returned."""


def fields_of(lease: Lease, entries: Sequence[LogEntry], registry: Registry, as_of_ns: int) -> LeaseFields:
    """Return identity and state of a lease at an instant (UTC, ns), from the admitted entries of its log."""
    told = [e.record for e in entries if e.record is not None and e.leaf.admitted and e.record.sid == lease.sid]
    grant = next((r for r in told if isinstance(r.body, Grant)), None)
    confirm = next((r for r in told if isinstance(r.body, Confirm)), None)
    user = registry.get(grant.body.user) if grant is not None else None
    revoked, handed = _revocation(lease, told), _handed(told, as_of_ns)
    live = lease.state is LeaseState.ACTIVE and revoked in ("none", "under review")
    bands = _kept(grant.body.cell.band, handed) if grant is not None and live else []
    return LeaseFields(
        permission_id=lease.sid.hex(),
        issuer_id=_hex(grant.frame.author) if grant is not None else None,
        subject_id=_hex(grant.body.user) if grant is not None else None,
        scope_definition=_scope(grant) if grant is not None else None,
        issued_at=confirm.frame.attestation.latest_ns if confirm is not None else None,
        active_scope=[[band.low_hz, band.high_hz] for band in bands],
        usage_count=sum(r.body.bursts for r in told if isinstance(r.body, Usage)),
        trust_level=user.level if user is not None else None,
        expiry_status=_expiry(lease, as_of_ns),
        revocation_status="transferred" if any(h.body.kind == TRANSFER for h in handed) and live else revoked,
        handed_to=[_hex(h.body.to) or "" for h in handed],
    )


def _hex(name: bytes | None) -> str | None:
    return None if name is None else name.hex()


def _scope(grant: Record) -> dict[str, Any]:
    body: Grant = grant.body
    cell: Cell = body.cell
    return {
        "low_hz": cell.band.low_hz,
        "high_hz": cell.band.high_hz,
        "area": str(cell.area),
        "start_ns": cell.window.start_ns,
        "end_ns": cell.window.end_ns,
        "class": body.commodity,
        "tier": body.tier,
        "max_eirp_mdbm": body.max_eirp_mdbm,
    }


def _expiry(lease: Lease, as_of_ns: int) -> str:
    if lease.cell is not None and as_of_ns < lease.cell.window.start_ns and lease.state is LeaseState.ACTIVE:
        return "not begun"
    over = lease.state in (LeaseState.EXPIRED, LeaseState.ARCHIVED)
    return "over" if over or (lease.ends_ns is not None and as_of_ns > lease.ends_ns) else "running"


def _revocation(lease: Lease, told: Sequence[Record]) -> str:
    """Return how the lease was revoked, if it was: by the newest record on that in its log."""
    ended = next((ENDS[type(r.body)] for r in told if type(r.body) in ENDS), None)
    if ended is not None:
        return ended
    paused = [PAUSES[type(r.body)] for r in told if type(r.body) in PAUSES]
    if paused and paused[-1] != "none":
        return paused[-1]
    reviewed = any(t.action == LeaseMark.REVIEW.value and not t.refused for t in lease.history)
    return "under review" if reviewed else "none"


def _handed(told: Sequence[Record], as_of_ns: int) -> list[Record]:
    """Return the HANDOVERs of the lease that were vacated and have not returned."""
    silent = {r.body.handover for r in told if isinstance(r.body, Vacated)}
    back = {r.body.handover for r in told if isinstance(r.body, Reclaim)}
    return [
        r
        for r in told
        if isinstance(r.body, Handover) and r.digest in silent - back and as_of_ns <= r.body.cell.window.end_ns
    ]


def _kept(whole: Band, handed: Sequence[Record]) -> list[Band]:
    """Return the parts of a band that no handover touches."""
    runs, low_hz = [], whole.low_hz
    for one in sorted((h.body.cell.band for h in handed), key=lambda band: band.low_hz):
        if one.low_hz > low_hz:
            runs.append(Band(low_hz=low_hz, high_hz=min(one.low_hz, whole.high_hz)))
        low_hz = max(low_hz, one.high_hz)
    return [*runs, Band(low_hz=low_hz, high_hz=whole.high_hz)] if low_hz < whole.high_hz else runs
