"""The holder's one decision on a settlement: CONFIRM, the only commit point, or ABORT, which frees the cell."""

from settlement.chain.bodies import Abort, Confirm
from settlement.chain.weights import FAILED, UNANSWERED
from settlement.core.reasons import Reason
from settlement.pair.governed import Governed
from settlement.pair.holderpairs import HolderPair, HolderPairs
from settlement.pair.patience import Patience
from settlement.pair.table import Event
from settlement.pair.transmit import furthest
from settlement.pair.work import Work

UNTAKEN = frozenset({Reason.TIMEOUT, Reason.CHALLENGE})
"""Reasons of an ABORT that only the user could have prevented."""


def lease_until_ns(governed: Governed, work: Work, pair: HolderPair) -> int:
    """Return how far (UTC, ns) a lease given now may reach: at most to the limits of class, GRANT and FALLBACK."""
    terms = governed.terms(pair.commodity)
    if terms is None:
        raise ValueError(f"class {pair.commodity} is not in the rule")
    length_ns = terms.lease_ns if pair.lease_ns is None else min(terms.lease_ns, pair.lease_ns)
    until_ns = furthest(work.now.time.earliest_ns, pair.cell, length_ns)
    if pair.handover is not None:
        until_ns = min(until_ns, governed.handed_until_ns(pair.handover))
    return until_ns if pair.moved_ns is None else min(until_ns, pair.moved_ns)


class DecisionKeeper:
    """Decides each settlement of one holder exactly once."""

    def __init__(self, *, governed: Governed, pairs: HolderPairs, patience: Patience) -> None:
        self._governed, self._pairs, self._patience = governed, pairs, patience

    def confirm(self, work: Work, pair: HolderPair, accept: bytes, event: Event, cosigned: tuple[bytes, ...]) -> None:
        """Sign the CONFIRM of a GRANT and its ACCEPT: the commit point."""
        until_ns = lease_until_ns(self._governed, work, pair)
        body = Confirm(
            sid=pair.sid,
            grant=pair.grant,
            accept=accept,
            transmit_until_ns=until_ns,
            fence=pair.fence,
        )
        record = work.sign(body)
        decided = {"accept": accept, "decision": record.digest, "transmit_until_ns": until_ns}
        self._pairs.move(work, pair, event, **decided)
        self._patience.taken_up(work, pair.user)
        work.send_settled(pair.user, record, beside=cosigned, reply_to=accept)
        work.event("settled", sid=pair.sid, band=pair.cell.band)

    def abort(self, work: Work, pair: HolderPair, event: Event, reason: Reason, accept: bytes | None = None) -> None:
        """Sign the ABORT, the other final decision, and free the cell."""
        record = work.sign(Abort(sid=pair.sid, grant=pair.grant, reason=reason.value, accept=accept))
        self._pairs.move(work, pair, event, accept=accept, decision=record.digest, busy_until_ns=0)
        if reason.value in UNANSWERED:
            work.count(FAILED + pair.user.hex())
        if reason in UNTAKEN:
            terms = self._governed.terms(pair.commodity)
            self._patience.failed(work, pair.user, terms.accept_ns if terms is not None else 0)
        work.send(pair.user, record.raw, reply_to=accept)
        for other in pair.asked or ():
            work.pass_on(other, record.raw)
        work.event("aborted", sid=pair.sid, reason=reason.value)
