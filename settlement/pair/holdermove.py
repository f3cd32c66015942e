"""The holder's side of a fallback: moves a settlement to the substitute that the holder committed to.

The first settlement gets no lease beyond the instant of the move, which is not before the end of the last signed
lease: by its own warden the radio is silent before the substitute's window opens.
"""

from dataclasses import dataclass, replace

from settlement.chain.records import Record
from settlement.chain.scope import Band, Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.fallbacks import Substitute, fallback_terms, judge_substitute, owed_for_move
from settlement.pair.governed import Governed
from settlement.pair.holderlease import LeaseKeeper
from settlement.pair.holderpairs import HolderPair, HolderPairs
from settlement.pair.table import Event, HolderState, next_holder
from settlement.pair.work import Work
from settlement.records.complaint import Fallback
from settlement.records.endings import Compensation
from settlement.records.market import Declaration, Request

MS = 1_000_000
SPARE_NS = 100 * MS
"""Margin, ns, because a FALLBACK is signed a little after it was planned and still has to keep its notice time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstituteOffer:
    """The offer from which a substitute may be requested, and its author."""

    declaration: bytes
    body: Declaration
    by: str
    own: bool


class MoveKeeper:
    """Every settlement of one holder that was moved, or is to be moved."""

    def __init__(self, *, governed: Governed, pairs: HolderPairs, leases: LeaseKeeper) -> None:
        self._governed, self._pairs, self._leases = governed, pairs, leases

    def plan(self, work: Work, pair: HolderPair, band: Band, offer: SubstituteOffer, *, me: str) -> Fallback | Refusal:
        """Plan the FALLBACK of a settlement to a band of an offer; a refusal where it would break the commitment."""
        moved = next_holder(HolderState(pair.state), Event.FALLBACK)
        terms = self._governed.terms(pair.commodity)
        bound = fallback_terms(terms, pair.fallback) if terms is not None else None
        if isinstance(moved, Refusal):
            return moved
        if bound is None or pair.decision is None or pair.moved is not None:
            measured = "moved already" if pair.moved is not None else "bound to none"
            return refuse(Reason.TERMS, "fallback.choice", measured, "a settlement with a fallback, not moved yet")
        now_ns = work.now.time.latest_ns
        from_ns = max(now_ns + bound.notice_ns + SPARE_NS, pair.transmit_until_ns or 0, pair.cell.window.start_ns)
        from_ns = -(-from_ns // MS) * MS
        window = replace(pair.cell.window, start_ns=from_ns)
        if from_ns >= pair.cell.window.end_ns:
            required = f"< {pair.cell.window.end_ns} ns, the end of its window"
            return refuse(Reason.TERMS, "fallback.window", f"from {from_ns} ns", required)
        body = Fallback(
            sid=pair.sid,
            confirm=pair.decision,
            choice=bound.number,
            cell=Cell(band=band, area=offer.body.cell.area, window=window),
            from_ns=from_ns,
            notice_ns=bound.notice_ns,
            reason="moved",
            fence=pair.fence,
            declaration=offer.declaration,
            owed=owed_for_move(bound, pair.price or 0, pair.cell, from_ns) or None,
        )
        one = Substitute(
            body=body,
            signed_ns=now_ns,
            holder=me,
            offer=offer.body,
            offerer=offer.by,
            commodity=pair.commodity,
            price=pair.price,
            eirp_mdbm=offer.body.max_eirp_mdbm,
            tariff=terms.tariff if terms is not None else None,
        )
        return judge_substitute(bound, pair.cell, one) or body

    def move(self, work: Work, pair: HolderPair, body: Fallback) -> Record:
        """Sign and send a planned FALLBACK, with the COMPENSATION that its terms require."""
        record = work.sign(body)
        self._leases.debts.say(work, record, pair.user)
        busy_ns = max(body.from_ns, pair.transmit_until_ns or 0)
        moved = {"moved": record.digest, "moved_ns": body.from_ns, "moved_cell": body.cell, "busy_until_ns": busy_ns}
        self._pairs.move(work, pair, Event.FALLBACK, **moved)
        if body.owed is not None:
            debt = Compensation(
                sid=pair.sid,
                confirm=body.confirm,
                request=pair.request,
                amount=body.owed,
                currency=pair.currency,
                to=pair.user,
                moved=record.digest,
            )
            self._leases.debts.owe(work, debt)
        work.event("moving", sid=pair.sid, band=body.cell.band, from_ns=body.from_ns, owed=body.owed or 0)
        return record

    def judge_replacing(self, body: Request, user: bytes) -> Refusal | None:
        """Refuse a REQUEST for a substitute that differs from this holder's FALLBACK in cell or user."""
        if body.replaces is None:
            return None
        pair = next((one for one in self._pairs.known.values() if one.moved == body.replaces), None)
        if pair is None:
            return None  # another holder's FALLBACK, which concerns only that holder and the user
        if pair.user != user or pair.moved_cell != body.cell:
            return refuse(Reason.TERMS, "request.replaces", body.cell.band, f"{pair.moved_cell}, by the user moved")
        return None
