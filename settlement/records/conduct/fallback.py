"""Handles FALLBACK: it moves a user's settlement to the substitute to which the GRANT binds the holder.

A FALLBACK for a settlement without such a commitment offers no substitute: it counts only in the holder's record of
fulfilment.
"""

from dataclasses import dataclass

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.fallbacks import Substitute, fallback_terms, judge_substitute
from settlement.pair.table import Event, UserState, next_user
from settlement.pair.userpairs import UserPair
from settlement.records.complaint import Fallback
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.fulfilment import credit, reported
from settlement.records.conduct.verdict import receive, say_refused
from settlement.records.grant import Grant
from settlement.records.market import Declaration
from settlement.state.disputes import rule_of, settled_here


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackMove:
    """A settlement of this user to continue at its substitute; both None where the GRANT binds to no fallback."""

    pair: UserPair | None
    granted: Grant | None


def _judge_fallback(case: RecordCase) -> FallbackMove | Refusal:
    body: Fallback = case.body
    _, other, decision = settled_here(case.state, body.sid)
    if other is None or other not in case.state.registry.line(case.author.hash):
        return refuse(Reason.UNKNOWN_SID, "fallback.sid", body.sid.hex()[:16], "a settlement of both")
    if body.confirm != decision:
        return refuse(Reason.TERMS, "fallback.confirm", body.confirm.hex()[:16], "its CONFIRM")
    pair = case.state.user.by_sid(body.sid)
    granted = case.state.record_of(pair.grant) if pair is not None and pair.grant is not None else None
    if pair is None or granted is None or granted.body.fallback is None:
        return FallbackMove(pair=None, granted=None)
    return _kept(case, pair, granted.body) or FallbackMove(pair=pair, granted=granted.body)


def _kept(case: RecordCase, pair: UserPair, granted: Grant) -> Refusal | None:
    """Refuse a FALLBACK that does not keep the holder's commitment in the GRANT, as far as this node can tell."""
    body, state = case.body, case.state
    moved = next_user(UserState(pair.state), Event.FALLBACK)
    rule = rule_of(state, granted.rule)
    terms = rule.terms(granted.commodity) if rule is not None else None
    bound = fallback_terms(terms, granted.fallback) if terms is not None else None
    if isinstance(moved, Refusal):
        return moved
    if pair.moving is not None:
        return refuse(Reason.EQUIVOCATION, "fallback.once", "a second FALLBACK", "one for each settlement")
    if bound is None or body.declaration is None:
        return refuse(Reason.TERMS, "fallback.declaration", "none named", "the offer of its substitute")
    if body.from_ns < (pair.transmit_until_ns or 0):
        required = f">= {pair.transmit_until_ns} ns, when the last lease ends"
        return refuse(Reason.LEASE, "fallback.from", f"{body.from_ns} ns", required)
    offer = state.record_of(body.declaration)
    by = state.registry.get(offer.frame.author) if offer is not None else None
    one = Substitute(
        body=body,
        signed_ns=case.record.frame.attestation.latest_ns,
        holder=case.author.name,
        offer=offer.body if offer is not None and isinstance(offer.body, Declaration) else None,
        offerer=by.name if by is not None else None,
        commodity=granted.commodity,
        price=granted.price,
        eirp_mdbm=granted.max_eirp_mdbm,
        tariff=terms.tariff if terms is not None else None,
    )
    return judge_substitute(bound, granted.cell, one)


def _move(case: RecordCase, decided: FallbackMove) -> None:
    credit(case, decided)
    if decided.pair is not None and decided.granted is not None:
        case.state.user.moves.take(case.step, decided.pair, case.admitted, decided.granted)
    receive(case)


CONDUCT = (Conduct(body=Fallback, judge=_judge_fallback, act=_move, refused=say_refused, heard=reported),)
