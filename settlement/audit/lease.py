"""The lease object: a settlement as one log shows it, in seven states, with every transition between them.

A lease is a view without storage of its own: each transition is an entry of the log, with its actor, action, previous
state, evidence (the hash of the record) and result; refused entries are listed with the admitted ones. The same entries
always give the same view, and inclusion proofs under a signed head show that they are in the log.

Licensed          an offer of the holder, by its credential, is in the log; or a HANDOVER
Lease Requested   a user requested a cell of it
Under Review      the holder admitted the REQUEST and judged it under the rule
Approved          GRANT: the cell is reserved for this user, which may not transmit yet
Active            CONFIRM: the settlement is in force
    Expired           window over, relinquished, preempted, or aborted
    Archived          the user's report on its use is in the log
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from settlement.chain.admission import proven
from settlement.chain.bodies import (
    Abort,
    Accept,
    Compensation,
    Confirm,
    Coordination,
    Declaration,
    Dispute,
    DisputeAnswer,
    Fallback,
    Gate,
    Grant,
    Preempt,
    Relinquish,
    Renew,
    Request,
    Resume,
    Ruling,
    Suspend,
    Usage,
    Verdict,
)
from settlement.chain.credentials import Registry
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal
from settlement.pair.work import settlement_id
from settlement.records.decision import DECISIONS
from settlement.records.handover import Consent, Handover, Reclaim, Vacated
from settlement.records.registry import TYPE_OF
from settlement.records.verdict import REVIEW_OPENED


class LeaseState(Enum):
    """The states of a lease."""

    LICENSED = "Licensed"
    REQUESTED = "Lease Requested"
    REVIEW = "Under Review"
    APPROVED = "Approved"
    ACTIVE = "Active"
    EXPIRED = "Expired"
    ARCHIVED = "Archived"


class LeaseMark(Enum):
    """Events that move a lease, other than the records of its settlement."""

    ADMISSION = "admission"
    REVIEW = "review"
    WINDOW_END = "window end"


Moved = type[Any] | LeaseMark
"""The cause of a move: the body class of a record, or a mark."""
_S = LeaseState
TRANSITIONS: dict[tuple[LeaseState | None, Moved], LeaseState] = {
    (None, Declaration): _S.LICENSED,
    (None, Handover): _S.LICENSED,
    (_S.LICENSED, Request): _S.REQUESTED,
    (_S.REQUESTED, LeaseMark.ADMISSION): _S.REVIEW,
    (_S.REVIEW, Grant): _S.APPROVED,
    (_S.APPROVED, Accept): _S.APPROVED,
    (_S.APPROVED, Coordination): _S.APPROVED,
    (_S.APPROVED, Confirm): _S.ACTIVE,
    (_S.APPROVED, Abort): _S.EXPIRED,
    (_S.ACTIVE, Coordination): _S.ACTIVE,
    (_S.ACTIVE, Renew): _S.ACTIVE,
    (_S.ACTIVE, Suspend): _S.ACTIVE,
    (_S.ACTIVE, Resume): _S.ACTIVE,
    (_S.ACTIVE, Handover): _S.ACTIVE,
    (_S.ACTIVE, Consent): _S.ACTIVE,
    (_S.ACTIVE, Vacated): _S.ACTIVE,
    (_S.ACTIVE, Reclaim): _S.ACTIVE,
    (_S.ACTIVE, LeaseMark.REVIEW): _S.ACTIVE,
    (_S.ACTIVE, Relinquish): _S.EXPIRED,
    (_S.ACTIVE, Preempt): _S.EXPIRED,
    (_S.ACTIVE, LeaseMark.WINDOW_END): _S.EXPIRED,
    (_S.EXPIRED, Relinquish): _S.EXPIRED,
    (_S.EXPIRED, Preempt): _S.EXPIRED,
    (_S.EXPIRED, Usage): _S.ARCHIVED,
    (_S.ARCHIVED, Usage): _S.ARCHIVED,
}
PROMISES = (Fallback, Compensation, Dispute, DisputeAnswer, Ruling)
"""Records about a confirmed settlement, possible in every state, that move it to no other state."""
TRANSITIONS.update({(state, said): state for state in (_S.ACTIVE, _S.EXPIRED, _S.ARCHIVED) for said in PROMISES})
GATE = TYPE_OF[Gate]
"""The type of gate records: changes of the user's gate are listed in the history, but move no state."""
CLOCK = "clock"
UNGRANTED = (LeaseState.LICENSED, LeaseState.REQUESTED, LeaseState.REVIEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One transition, or a refused one (`state` is then the unchanged state); `entry` is its index in the log.

    `result` is "admitted", or the refusal: reason, clause, measured and required.
    """

    actor: str
    action: str
    previous: LeaseState | None
    state: LeaseState | None
    evidence: bytes
    entry: int
    arrived_ns: int
    refused: bool
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease as one log shows it; `ends_ns` is the end of its window (UTC), earlier after a FALLBACK.

    `cell` and `eirp_mdbm` are those of the REQUEST, and after a GRANT those of the GRANT.
    """

    sid: bytes
    state: LeaseState | None
    history: tuple[Transition, ...]
    ends_ns: int | None = None
    decision: bytes | None = None
    request: bytes | None = None
    cell: Cell | None = None
    eirp_mdbm: int | None = None

    @property
    def refusal(self) -> str | None:
        """Why it was never granted, with the clause: the newest refusal that is no REPLAY; None where there is none."""
        if self.state not in UNGRANTED:
            return None
        found = [one for one in self.history if one.refused and one.action in (TYPE_OF[Request], TYPE_OF[Grant])]
        final = [one.result for one in found if not one.result.startswith(Reason.REPLAY.value)]
        return final[-1] if final else None

    @property
    def entries(self) -> tuple[int, ...]:
        """The indices of the log entries from which the view is made."""
        return tuple(sorted({t.entry for t in self.history}))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry of a log with its record and its author's name; `record` is None where it does not verify."""

    index: int
    leaf: Leaf
    record: Record | None
    actor: str


def read_entries(bodies: Iterable[tuple[int, bytes]], registry: Registry) -> Iterator[LogEntry]:
    """Yield entries from their bytes, without those that do not decode; credentials among them join `registry`."""
    for index, body in bodies:
        leaf = decode_leaf(body)
        if isinstance(leaf, Refusal):
            continue
        record = proven(leaf.record, registry) if leaf.record else None
        author = registry.get(record.frame.author) if record is not None else None
        yield LogEntry(index=index, leaf=leaf, record=record, actor=author.name if author else "unknown")


class _View:
    """Builds every lease of one log, entry by entry."""

    def __init__(self) -> None:
        self.leases: dict[bytes, Lease] = {}
        self._offers: dict[bytes, LogEntry] = {}
        self._by_request: dict[bytes, bytes] = {}
        self._by_record: dict[bytes, bytes] = {}

    def take(self, entry: LogEntry) -> None:
        record = entry.record
        if record is None:
            return
        if isinstance(record.body, Declaration | Handover) and entry.leaf.admitted:
            self._offers[record.digest] = entry
        if isinstance(record.body, Declaration):
            return
        if isinstance(record.body, Request):
            self._requested(entry, record)
        elif isinstance(record.body, Verdict):
            self._judged(entry, record)
        elif record.sid is not None and record.sid in self.leases:
            self._moved(entry, record, record.sid)

    def _requested(self, entry: LogEntry, record: Record) -> None:
        offer, user = self._offers.get(record.body.declaration), record.frame.author
        if offer is None or offer.record is None or offer.record.frame.author is None or user is None:
            return
        sid = settlement_id(offer.record.frame.author, user, record.body.nonce, record.body.cell)
        lease = self.leases.get(sid)
        if lease is None:
            lease = self._apply(Lease(sid=sid, state=None, history=()), offer, offer.record.row.body)
        ends_ns = record.body.cell.window.end_ns
        asked = replace(
            lease,
            ends_ns=ends_ns,
            request=record.digest,
            cell=lease.cell or record.body.cell,
            eirp_mdbm=record.body.eirp_mdbm if lease.eirp_mdbm is None else lease.eirp_mdbm,
        )
        lease = self._apply(asked, entry, Request)
        received = entry.leaf.peer is not None
        if entry.leaf.admitted and received and lease.state is LeaseState.REQUESTED:
            lease = self._apply(lease, entry, LeaseMark.ADMISSION, actor=self._owner_of(offer))
        self.leases[sid] = lease
        self._by_request[record.digest] = sid

    @staticmethod
    def _owner_of(offer: LogEntry) -> str:
        return offer.actor

    def _judged(self, entry: LogEntry, record: Record) -> None:
        """Add a signed refusal of a REQUEST, or the review of a settlement."""
        subject, body = record.body.subject, record.body
        sid = self._by_request.get(subject) or self._by_record.get(subject)
        if sid is None or not entry.leaf.admitted or body.reason == Reason.RECEIVED.value:
            return
        if body.clause == REVIEW_OPENED:
            self.leases[sid] = self._apply(self.leases[sid], entry, LeaseMark.REVIEW)
            return
        why = _words(body.reason, body.clause, body.measured, body.required)
        self.leases[sid] = self._keep(self.leases[sid], entry, Grant, why)

    def _moved(self, entry: LogEntry, record: Record, sid: bytes) -> None:
        lease = self.leases[sid]
        if entry.leaf.admitted:
            lease = self._window(lease, entry)
            if isinstance(record.body, Grant) and lease.state is LeaseState.REQUESTED:
                lease = self._apply(lease, entry, LeaseMark.ADMISSION)
            if isinstance(record.body, Grant):
                lease = replace(lease, cell=record.body.cell, eirp_mdbm=record.body.max_eirp_mdbm)
            if isinstance(record.body, Fallback) and record.body.declaration is not None:
                lease = replace(lease, ends_ns=min(record.body.from_ns, lease.ends_ns or record.body.from_ns))
            if isinstance(record.body, DECISIONS):
                lease = replace(lease, decision=record.digest)
            self._by_record[record.digest] = sid
        self.leases[sid] = self._apply(lease, entry, record.row.body)

    def _window(self, lease: Lease, entry: LogEntry) -> Lease:
        over = lease.ends_ns is not None and entry.leaf.arrived_earliest_ns > lease.ends_ns
        if not over or lease.state is not _S.ACTIVE:
            return lease
        return self._apply(lease, entry, LeaseMark.WINDOW_END, actor=CLOCK)

    def _apply(self, lease: Lease, entry: LogEntry, action: Moved, *, actor: str | None = None) -> Lease:
        leaf = entry.leaf
        if not leaf.admitted:
            why = _words(leaf.reason or "", leaf.clause or "", leaf.measured or "", leaf.required or "")
            return self._keep(lease, entry, action, why)
        if action is Gate and entry.record is not None:
            gate = entry.record.body
            said = f"{gate.previous} to {gate.state} {gate.reason}".rstrip()
            move = _transition(lease, entry, action, actor=actor, state=lease.state, refused=False, result=said)
            return replace(lease, history=(*lease.history, move))
        state = TRANSITIONS.get((lease.state, action))
        if state is None:
            why = _words(Reason.OUT_OF_ORDER.value, "lease.table", _named(action), "")
            return self._keep(lease, entry, action, why)
        move = _transition(lease, entry, action, actor=actor, state=state, refused=False, result="admitted")
        return replace(lease, state=state, history=(*lease.history, move))

    @staticmethod
    def _keep(lease: Lease, entry: LogEntry, action: Moved, why: str) -> Lease:
        move = _transition(lease, entry, action, actor=None, state=lease.state, refused=True, result=why)
        return replace(lease, history=(*lease.history, move))


def _transition(
    lease: Lease,
    entry: LogEntry,
    action: Moved,
    *,
    actor: str | None,
    state: LeaseState | None,
    refused: bool,
    result: str,
) -> Transition:
    return Transition(
        actor=actor or entry.actor,
        action=_named(action),
        previous=lease.state,
        state=state,
        evidence=entry.leaf.subject,
        entry=entry.index,
        arrived_ns=entry.leaf.arrived_earliest_ns,
        refused=refused,
        result=result,
    )


def _named(action: Moved) -> str:
    return action.value if isinstance(action, LeaseMark) else TYPE_OF[action]


def _words(reason: str, clause: str, measured: str, required: str) -> str:
    needed = f" (required: {required})" if required else ""
    return f"{reason} [{clause}] {measured}".rstrip() + needed


def leases(entries: Iterable[LogEntry], *, as_of_ns: int | None = None) -> dict[bytes, Lease]:
    """Return every lease of one log by settlement id; an Active one whose window ended before `as_of_ns` is Expired."""
    view = _View()
    last: LogEntry | None = None
    for entry in entries:
        view.take(entry)
        last = entry
    if as_of_ns is not None and last is not None:
        for sid, lease in view.leases.items():
            if lease.state is LeaseState.ACTIVE and lease.ends_ns is not None and as_of_ns > lease.ends_ns:
                view.leases[sid] = _over(lease, lease.ends_ns)
    return view.leases


def _over(lease: Lease, ends_ns: int) -> Lease:
    """Return a lease whose window is over by the clock alone; the evidence of that transition is the CONFIRM."""
    confirmed = next(t for t in reversed(lease.history) if t.action == _named(Confirm) and not t.refused)
    move = replace(
        confirmed,
        actor=CLOCK,
        action=LeaseMark.WINDOW_END.value,
        previous=lease.state,
        state=LeaseState.EXPIRED,
        arrived_ns=ends_ns,
    )
    return replace(lease, state=LeaseState.EXPIRED, history=(*lease.history, move))
