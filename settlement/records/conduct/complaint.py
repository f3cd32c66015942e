"""Handles disputes, their answers and rulings, about a settlement that both sides know.

Evidence is cited by the hashes of records; a ruling is checked by making it again from them. Where the class has no
terms for disputes in the rule, a dispute is logged and has no other effect.
"""

from dataclasses import dataclass

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.rulings import judge_ruling
from settlement.disputes.table import (
    STORE,
    DisputeMove,
    DisputeState,
    OpenDispute,
    judge_hearing,
    judge_move,
    moved,
    open_dispute,
)
from settlement.records.complaint import Dispute, DisputeAnswer, Ruling
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.fulfilment import credit, reported
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.conduct.verdict import receive, say_received, say_refused
from settlement.records.endings import Compensation
from settlement.state import budget
from settlement.state.disputes import (
    case_of,
    dispute_of,
    judge_answer,
    judge_dispute,
    keep,
    opened,
    other_party,
    settled_here,
)

# -- dispute and answer ------------------------------------------------------------------------------------------------


def _judge_dispute(case: RecordCase) -> OpenDispute | Refusal:
    return judge_dispute(case.state, case.body, case.record.frame.attestation, case.author)


def _disputed(case: RecordCase, decided: OpenDispute) -> None:
    body: Dispute = case.body
    opened(case.state, case.step, case.record.digest, decided)
    told = {"ground": body.grounds, "claim": body.claim, "level": decided.level + 1}
    case.step.event("disputed", sid=body.sid, by=case.author.name, dispute=case.record.digest, **told)
    receive(case)


def _judge_answer(case: RecordCase) -> OpenDispute | Refusal:
    return judge_answer(case.state, case.body, case.record.frame.attestation, case.author)


def _answered(case: RecordCase, held: OpenDispute) -> None:
    body: DisputeAnswer = case.body
    keep(case.step, body.dispute, moved(held, DisputeMove.ANSWER, answer=case.record.digest))
    case.step.event("answered", sid=body.sid, by=case.author.name, stance=body.stance, dispute=body.dispute)
    receive(case)


def _retell_dispute(told: Retelling, said: Said) -> None:
    body: Dispute = said.body
    lower = told.rows.get((STORE, body.escalates)) if body.escalates is not None else None
    level = 0
    if lower is not None and body.escalates is not None:
        before = open_dispute(lower)
        level = before.level + 1
        told.rows[STORE, body.escalates] = moved(before, DisputeMove.ESCALATE).stored()
    held = OpenDispute(
        sid=body.sid,
        by=said.author,
        against=body.against,
        ground=body.grounds,
        level=level,
        state=DisputeState.RAISED,
        raised_ns=said.signed_ns,
        escalates=body.escalates,
    )
    told.rows[STORE, said.digest] = held.stored()


def _retell_answer(told: Retelling, said: Said) -> None:
    row = STORE, said.body.dispute
    raw = told.rows.get(row)
    if raw is not None:
        told.rows[row] = moved(open_dispute(raw), DisputeMove.ANSWER, answer=said.digest).stored()


# -- ruling ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """A ruling to store and the dispute that it decides; `by_rule` False: the rule has no terms, it is only logged."""

    held: OpenDispute | None
    by_rule: bool


def _judge_ruling(case: RecordCase) -> Ruled | Refusal:
    """Judge a ruling: of a dispute on record about a settlement of this node, in its author's band and area.

    The payer is one of the two parties; where the rule has terms for disputes, the ruling is also made again and
    compared.
    """
    state, body = case.state, case.body
    disputed = state.record_of(body.dispute)
    if disputed is None or not isinstance(disputed.body, Dispute) or disputed.body.sid != body.sid:
        return refuse(Reason.UNKNOWN_SID, "ruling.dispute", body.dispute.hex()[:16], "on record")
    granted, asked = state.holder.pairs.get(body.sid), state.user.by_sid(body.sid)
    cell = granted.cell if granted is not None else asked.cell if asked is not None else None
    mine, other, _ = settled_here(state, body.sid)
    if cell is None or mine is None or other is None:
        return refuse(Reason.UNKNOWN_SID, "ruling.sid", body.sid.hex()[:16], "a settlement of this node")
    scope = case.author.scope
    if not scope.holds_band(cell.band) or not scope.area.holds(cell.area):
        return refuse(Reason.SCOPE, "ruling.scope", f"{cell.band}, {cell.area}", "inside its author's band and area")
    parties = {*state.registry.line(mine), *state.registry.line(other), mine, other}
    if body.pays is not None and body.pays not in parties:
        return refuse(Reason.TERMS, "ruling.pays", body.pays.hex()[:16], "one of the two parties")
    return _by_the_rule(case)


def _by_the_rule(case: RecordCase) -> Ruled | Refusal:
    held, body = dispute_of(case.state, case.body.dispute), case.body
    found = case_of(case.state, body.dispute, body.answer)
    if isinstance(found, Refusal):
        return found
    if found.terms is None or held is None:
        return Ruled(held=held, by_rule=False)
    unheard = held.answer in case.state.holder.leases.debts.open
    refusal = (
        judge_move(held, DisputeMove.RULE)
        or judge_hearing(found.terms, held, case.record.frame.attestation, body.answer, unheard=unheard)
        or judge_ruling(found, case.record, case.author)
    )
    return refusal or Ruled(held=held, by_rule=True)


def _ruled(case: RecordCase, decided: Ruled) -> None:
    """Store a ruling, send it to the other party until that acknowledges it, and pay what this node is to pay."""
    body, step = case.body, case.step
    credit(case, decided)
    if decided.held is not None:
        signed_ns = case.record.frame.attestation.latest_ns
        keep(step, body.dispute, _after(decided.held, body, case.record.digest, signed_ns))
    if not decided.by_rule:
        return
    if decided.held is not None and decided.held.answer is not None and body.answer is None:
        case.state.holder.leases.debts.heard(step, decided.held.answer)
    told = {"outcome": body.outcome, "compensation": body.compensation, "why": body.reason}
    step.event("ruled", sid=body.sid, by=case.author.name, ruling=case.record.digest, **told)
    other = other_party(case.state, body.sid)
    if other is not None:
        if other != case.carrier:
            case.state.holder.leases.debts.say(step, case.record, other)
        say_received(case, other)
    if body.compensation and body.pays in case.state.own_line:
        _pay(case, other)


def _pay(case: RecordCase, other: bytes | None) -> None:
    """Sign the COMPENSATION that a ruling orders of this node; it is sent until the payee acknowledges it."""
    body, state = case.body, case.state
    confirm = settled_here(state, body.sid)[2]
    granted, asked = state.holder.pairs.get(body.sid), state.user.by_sid(body.sid)
    request = granted.request if granted is not None else asked.request if asked is not None else None
    grant = state.record_of(granted.grant if granted is not None else asked.grant if asked is not None else None)
    if confirm is None or request is None or other is None or grant is None:
        return
    known = state.rules.known(grant.body.rule)
    terms = known.rule.rule.terms(grant.body.commodity) if known is not None else None
    debt = Compensation(
        sid=body.sid,
        confirm=confirm,
        request=request,
        amount=body.compensation,
        currency=terms.currency if terms is not None else None,
        to=body.to or other,
        ruling=case.record.digest,
    )
    record = state.holder.leases.debts.owe(case.step, debt)
    held = dispute_of(state, body.dispute)
    if held is not None:
        keep(case.step, body.dispute, moved(held, DisputeMove.PAY, paid=record.digest))
    case.step.event("paid", sid=body.sid, amount=body.compensation, currency=debt.currency or "")


def _after(held: OpenDispute, body: Ruling, ruling: bytes, ruled_ns: int) -> OpenDispute:
    return moved(held, DisputeMove.RULE, ruling=ruling, ruled_ns=ruled_ns, answer=body.answer)


def _retell_ruling(told: Retelling, said: Said) -> None:
    reported(told, said)
    row = STORE, said.body.dispute
    raw = told.rows.get(row)
    if raw is not None:
        told.rows[row] = _after(open_dispute(raw), said.body, said.digest, said.signed_ns).stored()


CONDUCT = (
    Conduct(
        body=Dispute,
        judge=_judge_dispute,
        act=_disputed,
        refused=say_refused,
        keeps=(STORE,),
        own=_retell_dispute,
        heard=_retell_dispute,
    ),
    Conduct(
        body=DisputeAnswer,
        judge=_judge_answer,
        act=_answered,
        refused=say_refused,
        own=_retell_answer,
        heard=_retell_answer,
    ),
    Conduct(body=Ruling, judge=_judge_ruling, act=_ruled, keeps=(budget.REPORTED,), heard=_retell_ruling),
)
