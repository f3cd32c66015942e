"""Fallbacks, disputes and rulings are about a settlement both sides know: by a party to it, over its own decision."""

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Dispute, Ruling
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.state.nodestate import NodeState

COMPLAINTS = frozenset({"fallback", "dispute", "ruling"})


def judge_complaint(state: NodeState, admitted: Admitted) -> Refusal | None:
    """Does it belong to a settlement of this node and its author? A ruling belongs to a dispute that is on record."""
    body = admitted.record.body
    if isinstance(body, Ruling):
        disputed = state.record_of(body.dispute)
        known = disputed is not None and isinstance(disputed.body, Dispute) and disputed.body.sid == body.sid
        if not known:
            return refuse(Reason.UNKNOWN_SID, "ruling.dispute", body.dispute.hex()[:16], "on record")
        return _rules_there(state, admitted)
    mine, other, decision = _settled(state, body.sid)
    line = state.registry.line(admitted.author.hash)
    if other is None or other not in line:
        return refuse(Reason.UNKNOWN_SID, f"{admitted.record.typ}.sid", body.sid.hex()[:16], "a settlement of both")
    if body.confirm != decision:
        return refuse(Reason.TERMS, f"{admitted.record.typ}.confirm", body.confirm.hex()[:16], "its CONFIRM")
    if isinstance(body, Dispute):
        if body.against != mine:
            return refuse(Reason.TERMS, "dispute.against", body.against.hex()[:16], "the other party")
        lacking = next((one for one in body.evidence if state.record_bytes(one) is None), None)
        if lacking is not None:
            return refuse(Reason.PROOF, "dispute.evidence", lacking.hex()[:16], "a record that is in this log")
    return None


def _rules_there(state: NodeState, admitted: Admitted) -> Refusal | None:
    """An authority rules on what was settled inside its own bands and area, and between its two parties."""
    body: Ruling = admitted.record.body
    granted, asked = state.holder.pairs.get(body.sid), state.user.by_sid(body.sid)
    cell = granted.cell if granted is not None else asked.cell if asked is not None else None
    mine, other, _ = _settled(state, body.sid)
    if cell is None or mine is None or other is None:
        return refuse(Reason.UNKNOWN_SID, "ruling.sid", body.sid.hex()[:16], "a settlement of this node")
    scope = admitted.author.scope
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
    confirm = state.record_of(decision) if decision is not None else None
    if confirm is None or confirm.typ != "confirm":
        return None, None, None
    if granted is not None:
        return confirm.frame.author, granted.user, decision
    taken = state.record_of(asked.accept) if asked is not None and asked.accept is not None else None
    return (taken.frame.author if taken is not None else None), confirm.frame.author, decision
