"""What a displaced user is owed: taken by its receipt, so that both have signed; too little is put on record."""

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.tiers import Displaceable, compensation, tier_of
from settlement.pair.userpairs import UserPair
from settlement.records.conduct.alarms import verdict_on
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.verdict import receive
from settlement.records.ending import Compensation


def _judge_compensation(case: RecordCase) -> UserPair | Refusal:
    """By the holder of a settlement of ours, over its very CONFIRM, to us."""
    body: Compensation = case.body
    pair = case.state.user.by_sid(body.sid)
    if pair is None or pair.holder != case.author.hash or pair.decision != body.confirm:
        return refuse(Reason.UNKNOWN_SID, "compensation.sid", body.sid.hex()[:16], "a settlement of both")
    if body.to not in case.state.own_line:
        return refuse(Reason.UNKNOWN_SID, "compensation.to", body.to.hex()[:16], "this node")
    return pair


def _compensated(case: RecordCase, pair: UserPair) -> None:
    case.step.event("compensated", sid=pair.sid, amount=case.body.amount, currency=case.body.currency or "")
    receive(case)


def note_underpaid(case: RecordCase, pair: UserPair) -> None:
    """Put on record where a PREEMPT for a stronger tier says less than the rule has its user be owed."""
    granted = case.state.record_of(pair.grant) if pair.grant is not None else None
    held = case.state.rules.known(granted.body.rule) if granted is not None else None
    if case.body.by is None or granted is None or held is None:
        return
    terms = held.rule.rule.terms(granted.body.commodity)
    tier = tier_of(terms.tiers, case.body.tier) if terms is not None else None
    if tier is None:
        return
    window, price = granted.body.cell.window, granted.body.price
    lost = Displaceable(tier=granted.body.tier, window=window, price=price, leased_until_ns=0)
    due, said = compensation(tier, lost, case.body.vacate_by_ns), case.body.owed or 0
    if said < due:
        refusal = refuse(Reason.PRICE, "compensation.owed", said, f">= {due}, by the rule")
        case.step.sign(verdict_on(case.record.digest, refusal))
        case.step.event("underpaid", sid=pair.sid, said=said, due=due)


CONDUCT = (Conduct(body=Compensation, judge=_judge_compensation, act=_compensated),)
