"""Handles COMPENSATION: the payee judges it and signs a receipt, so that both have signed; logs an underpayment."""

from dataclasses import dataclass

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.table import STORE, DisputeMove, OpenDispute, moved, open_dispute
from settlement.market.tiers import Displaceable, compensation, tier_of
from settlement.pair.userpairs import UserPair
from settlement.records.complaint import Fallback, Ruling
from settlement.records.conduct.alarms import verdict_on
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.conduct.verdict import receive
from settlement.records.endings import Compensation
from settlement.state.disputes import dispute_of, keep, settled_here


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A debt to acknowledge; where a ruling ordered it, the dispute that it settles."""

    dispute: bytes | None = None
    held: OpenDispute | None = None


def _judge_compensation(case: RecordCase) -> Owed | Refusal:
    """Judge a COMPENSATION: by the other party of a settlement of this node, over its CONFIRM, owed to this node.

    A user owes one only by a ruling. The currency and, by a ruling or a FALLBACK, the amount are checked.
    """
    body: Compensation = case.body
    state, line = case.state, case.state.registry.line(case.author.hash)
    _, other, decision = settled_here(state, body.sid)
    held = state.user.by_sid(body.sid)
    by_user = held is None or held.holder not in line
    if other is None or other not in line or decision != body.confirm or (by_user and body.ruling is None):
        return refuse(Reason.UNKNOWN_SID, "compensation.sid", body.sid.hex()[:16], "a settlement of both")
    if body.to not in state.own_line:
        return refuse(Reason.UNKNOWN_SID, "compensation.to", body.to.hex()[:16], "this node")
    other_money = _of_another_currency(case)
    if other_money is not None:
        return other_money
    if body.ruling is not None:
        return _ordered(case, body.ruling)
    return _for_a_move(case, body.moved) if body.moved is not None else Owed()


def _of_another_currency(case: RecordCase) -> Refusal | None:
    """Refuse a currency other than that of the class, by the rule that the GRANT names."""
    state, body = case.state, case.body
    granted, asked = state.holder.pairs.get(body.sid), state.user.by_sid(body.sid)
    grant = state.record_of(granted.grant if granted is not None else asked.grant if asked is not None else None)
    known = state.rules.known(grant.body.rule) if grant is not None else None
    terms = known.rule.rule.terms(grant.body.commodity) if known is not None and grant is not None else None
    if terms is None or body.currency == terms.currency:
        return None
    measured, required = body.currency or "no currency", terms.currency or "no currency"
    return refuse(Reason.PRICE, "compensation.currency", measured, f"{required}, as the price")


def _ordered(case: RecordCase, name: bytes) -> Owed | Refusal:
    """Refuse less than the ruling orders, or a ruling that is not on record here for this settlement."""
    ruled, body = case.state.record_of(name, admitted=True), case.body
    if ruled is None or not isinstance(ruled.body, Ruling) or ruled.body.sid != body.sid:
        return refuse(Reason.PROOF, "compensation.ruling", name.hex()[:16], "a ruling on record")
    if body.amount < ruled.body.compensation:
        return refuse(Reason.PRICE, "compensation.amount", body.amount, f">= {ruled.body.compensation}, as ruled")
    return Owed(dispute=ruled.body.dispute, held=dispute_of(case.state, ruled.body.dispute))


def _for_a_move(case: RecordCase, name: bytes) -> Owed | Refusal:
    """Refuse less than the FALLBACK states, or a FALLBACK that is not on record here for this settlement."""
    told, body = case.state.record_of(name), case.body
    if told is None or not isinstance(told.body, Fallback) or told.body.sid != body.sid:
        return refuse(Reason.PROOF, "compensation.moved", name.hex()[:16], "a FALLBACK on record")
    if body.amount < (told.body.owed or 0):
        return refuse(Reason.PRICE, "compensation.amount", body.amount, f">= {told.body.owed}, by the FALLBACK")
    return Owed()


def _compensated(case: RecordCase, decided: Owed) -> None:
    if decided.held is not None and decided.dispute is not None:
        keep(case.step, decided.dispute, moved(decided.held, DisputeMove.PAY, paid=case.record.digest))
    case.step.event("compensated", sid=case.body.sid, amount=case.body.amount, currency=case.body.currency or "")
    receive(case)


def _retell(told: Retelling, said: Said) -> None:
    """Mark, in a replay, the dispute whose ruling was paid."""
    ruling = told.said.get(said.body.ruling or b"")
    raw = told.rows.get((STORE, ruling.body.dispute)) if ruling is not None else None
    if ruling is not None and raw is not None:
        told.rows[STORE, ruling.body.dispute] = moved(open_dispute(raw), DisputeMove.PAY, paid=said.digest).stored()


def note_underpaid(case: RecordCase, pair: UserPair) -> None:
    """Log a verdict where a PREEMPT for another user's REQUEST states less compensation than the rule requires."""
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


CONDUCT = (Conduct(body=Compensation, judge=_judge_compensation, act=_compensated, own=_retell, heard=_retell),)
