"""Fallbacks, disputes and rulings are about a settlement both sides know: by a party to it, over its own decision.

A FALLBACK counts against its author, a RULING against whom it has pay; a dispute is on record.
"""

from settlement.chain.weights import FAILED, FULFILLED
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.complaint import Dispute, Fallback, Ruling
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.retelling import Retelling, Said
from settlement.records.decision import Confirm
from settlement.records.ending import Usage
from settlement.state import budget
from settlement.state.nodestate import NodeState


def _judge_party(case: RecordCase) -> Refusal | None:
    """Does it belong to a settlement of this node and its author, over its decision?"""
    body, typ = case.body, case.record.typ
    _, other, decision = _settled(case.state, body.sid)
    if other is None or other not in case.state.registry.line(case.author.hash):
        return refuse(Reason.UNKNOWN_SID, f"{typ}.sid", body.sid.hex()[:16], "a settlement of both")
    if body.confirm != decision:
        return refuse(Reason.TERMS, f"{typ}.confirm", body.confirm.hex()[:16], "its CONFIRM")
    return None


def _judge_dispute(case: RecordCase) -> Refusal | None:
    body: Dispute = case.body
    refusal = _judge_party(case)
    if refusal is not None:
        return refusal
    mine, _, _ = _settled(case.state, body.sid)
    if body.against != mine:
        return refuse(Reason.TERMS, "dispute.against", body.against.hex()[:16], "the other party")
    lacking = next((one for one in body.evidence if case.state.record_bytes(one) is None), None)
    if lacking is not None:
        return refuse(Reason.PROOF, "dispute.evidence", lacking.hex()[:16], "a record that is in this log")
    return None


def _judge_ruling(case: RecordCase) -> Refusal | None:
    """It belongs to a dispute on record, and to what was settled inside its author's own bands and area."""
    state, body = case.state, case.body
    disputed = state.record_of(body.dispute)
    if disputed is None or not isinstance(disputed.body, Dispute) or disputed.body.sid != body.sid:
        return refuse(Reason.UNKNOWN_SID, "ruling.dispute", body.dispute.hex()[:16], "on record")
    granted, asked = state.holder.pairs.get(body.sid), state.user.by_sid(body.sid)
    cell = granted.cell if granted is not None else asked.cell if asked is not None else None
    mine, other, _ = _settled(state, body.sid)
    if cell is None or mine is None or other is None:
        return refuse(Reason.UNKNOWN_SID, "ruling.sid", body.sid.hex()[:16], "a settlement of this node")
    scope = case.author.scope
    if not scope.holds_band(cell.band) or not scope.area.holds(cell.area):
        return refuse(Reason.SCOPE, "ruling.scope", f"{cell.band}, {cell.area}", "inside its author's band and area")
    parties = {*state.registry.line(mine), *state.registry.line(other), mine, other}
    if body.pays is not None and body.pays not in parties:
        return refuse(Reason.TERMS, "ruling.pays", body.pays.hex()[:16], "one of the two parties")
    return None


def _settled(state: NodeState, sid: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Who this node was in a settlement, who the other party is, and the CONFIRM; Nones where there is none."""
    granted, asked = state.holder.pairs.get(sid), state.user.by_sid(sid)
    decision = granted.decision if granted is not None else asked.decision if asked is not None else None
    confirm = state.record_of(decision)
    if confirm is None or not isinstance(confirm.body, Confirm):
        return None, None, None
    if granted is not None:
        return confirm.frame.author, granted.user, decision
    taken = state.record_of(asked.accept) if asked is not None else None
    return (taken.frame.author if taken is not None else None), confirm.frame.author, decision


def credit(case: RecordCase, _decided: object) -> None:
    """Let a USAGE, FALLBACK or RULING count in a record of fulfilment, once."""
    budget.credit(case.step, case.state.lineage, case.admitted)


def reported(told: Retelling, said: Said) -> None:
    """The same of what is told again."""
    row = budget.REPORTED, said.body.sid + said.typ.encode()
    whose = said.body.pays if isinstance(said.body, Ruling) else said.author
    if row not in told.rows and whose is not None:
        told.rows[row] = said.digest
        told.counters[(FULFILLED if isinstance(said.body, Usage) else FAILED) + whose.hex()] += 1


def _on_record(_case: RecordCase, _decided: None) -> None:
    """A dispute waits for whoever rules on it."""


CONDUCT = (
    Conduct(body=Fallback, judge=_judge_party, act=credit, heard=reported),
    Conduct(body=Dispute, judge=_judge_dispute, act=_on_record),
    Conduct(body=Ruling, judge=_judge_ruling, act=credit, keeps=(budget.REPORTED,), heard=reported),
)
