"""The disputes that a node knows: what it stores of each, its checks, and the case of each from its own log."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from settlement.chain.bodies import Rule
from settlement.chain.credentials import Subject
from settlement.chain.records import Attestation, Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.case import DisputeCase, SettledPair, Sources, gather, gather_settled
from settlement.disputes.grounds import GROUNDS_JUDGED
from settlement.disputes.table import (
    STORE,
    DisputeMove,
    DisputeState,
    OpenDispute,
    judge_answering,
    judge_escalating,
    judge_move,
    judge_raising,
    moved,
    open_dispute,
)
from settlement.records.complaint import Dispute, DisputeAnswer
from settlement.records.decision import Confirm
from settlement.records.grant import Coordination
from settlement.records.registry import TYPE_OF
from settlement.state.nodestate import NodeState
from settlement.state.step import Step

DISPUTES_EACH = 16
"""Most disputes of one settlement by one author, escalations included: every ground, twice."""
DISPUTES_A_DAY = 64
"""Most disputes by one author within a day, over all settlements at this node."""
DAY_NS = 24 * 3600 * 1_000_000_000
RAISED = "raised"
AUDIT = "audit"
"""The action of a credential's scope that allows its bearer to dispute settlements of others."""


def sources_of(state: NodeState) -> Sources:
    """Return the sources from which this node assembles a case."""
    return Sources(
        record=state.record_of,
        subject=state.registry.get,
        rule=lambda name: rule_of(state, name),
        line=state.registry.line,
    )


def rule_of(state: NodeState, name: bytes) -> Rule | None:
    """Return a rule that this node knows, by its hash; None if it knows none."""
    held = state.rules.known(name)
    return held.rule.rule if held is not None else None


def all_disputes(state: NodeState) -> dict[bytes, OpenDispute]:
    """Return every dispute in this node's log, by the hash of its record."""
    return {name: open_dispute(raw) for name, raw in state.lineage.items(STORE)}


def dispute_of(state: NodeState, name: bytes | None) -> OpenDispute | None:
    """Return one dispute in this node's log, by its hash; None if there is none."""
    raw = state.lineage.get(STORE, name) if name is not None else None
    return open_dispute(raw) if raw is not None else None


def keep(step: Step, name: bytes, held: OpenDispute) -> None:
    """Store a dispute in its present state."""
    step.put(STORE, name, held.stored())


def settled_here(state: NodeState, sid: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Return this node's credential in a settlement, the other party's, and the CONFIRM; Nones where there is none."""
    granted, asked = state.holder.pairs.get(sid), state.user.by_sid(sid)
    decision = granted.decision if granted is not None else asked.decision if asked is not None else None
    confirm = state.record_of(decision)
    if confirm is None or not isinstance(confirm.body, Confirm):
        return None, None, None
    if granted is not None:
        return confirm.frame.author, granted.user, decision
    taken = state.record_of(asked.accept) if asked is not None else None
    return (taken.frame.author if taken is not None else None), confirm.frame.author, decision


def other_party(state: NodeState, sid: bytes) -> bytes | None:
    """Return the current credential of the other party of a settlement of this node."""
    _, other, _ = settled_here(state, sid)
    return None if other is None else state.registry.newest(other)


def case_of(state: NodeState, name: bytes, answer: bytes | None) -> DisputeCase | Refusal:
    """Return the case of a dispute in this node's log, with the answer to be considered."""
    record = state.record_of(name, admitted=True)
    if record is None or not isinstance(record.body, Dispute):
        return refuse(Reason.UNKNOWN_SID, "dispute.case", name.hex()[:16], "a dispute on record")
    return gather(record, answer, sources_of(state), lambda below: _ruling_on(state, below))


def _ruling_on(state: NodeState, below: bytes) -> bytes | None:
    held = dispute_of(state, below)
    return held.ruling if held is not None else None


# -- raising -------------------------------------------------------------------------------------------------------


def judge_dispute(state: NodeState, body: Dispute, signed: Attestation, author: Subject) -> OpenDispute | Refusal:
    """Judge whether this author may raise this dispute now; return the dispute to store, or the refusal."""
    mine, other, decision = settled_here(state, body.sid)
    line = {*state.registry.line(author.hash), author.hash}
    party = bool({mine, other} & line) and mine is not None
    if mine is None or not (party or may_complain(state, body.sid, author)):
        return refuse(Reason.UNKNOWN_SID, "dispute.sid", body.sid.hex()[:16], "a settlement of both")
    if body.confirm != decision:
        return refuse(Reason.TERMS, "dispute.confirm", body.confirm.hex()[:16], "its CONFIRM")
    if body.against not in (mine, other) or (party and body.against in line and body.escalates is None):
        return refuse(Reason.TERMS, "dispute.against", body.against.hex()[:16], "the other party")
    lacking = next((one for one in body.evidence if state.record_of(one) is None), None)
    if lacking is not None:
        return refuse(Reason.PROOF, "dispute.evidence", lacking.hex()[:16], "a record that is in this log")
    settled = gather_settled(body.confirm, sources_of(state))
    if isinstance(settled, Refusal):
        return settled
    lower = dispute_of(state, body.escalates)
    refusal = judge_few(state, body, signed, author) or judge_by_rule(state, body, signed, author, settled, lower=lower)
    return refusal or OpenDispute(
        sid=body.sid,
        by=author.hash,
        against=body.against,
        ground=body.grounds,
        level=lower.level + 1 if lower is not None else 0,
        state=DisputeState.RAISED,
        raised_ns=signed.latest_ns,
        escalates=body.escalates,
    )


def may_complain(state: NodeState, sid: bytes, author: Subject) -> bool:
    """Whether the author co-signed the settlement or is an auditor."""
    if AUDIT in author.scope.actions:
        return True
    mine = {*state.registry.line(author.hash), author.hash}
    return any(one.frame.author in mine for one in said_here(state, sid, Coordination))


def said_here(state: NodeState, sid: bytes, kind: type[Any]) -> Iterator[Record]:
    """Yield a settlement's logged records of one kind; none of its thousands of renewals is read."""
    found = (state.record_of(name) for name in state.lineage.named_of(sid, TYPE_OF[kind]))
    return (one for one in found if one is not None)


def judge_few(state: NodeState, body: Dispute, signed: Attestation, author: Subject) -> Refusal | None:
    """Limit one author's disputes: each ground of a settlement once, and a bounded number in a day.

    This holds whatever the rule says: a logged dispute stays logged, and is shown in every view of the node.
    """
    line = {*state.registry.line(author.hash), author.hash}
    theirs = [one.body for one in said_here(state, body.sid, Dispute) if one.frame.author in line]
    if body.escalates is None and any(one.grounds == body.grounds for one in theirs):
        return refuse(Reason.CONFLICT, "dispute.once", f"{body.grounds}, a second time", "one; then escalate it")
    if len(theirs) >= DISPUTES_EACH:
        return refuse(Reason.BUDGET, "dispute.each", len(theirs), f"< {DISPUTES_EACH} of one author")
    today = _lately(state, author.hash, signed.latest_ns)
    if len(today) >= DISPUTES_A_DAY:
        return refuse(Reason.BUDGET, "dispute.day", f"{len(today)} in a day", f"< {DISPUTES_A_DAY} of one author")
    return None


def _lately(state: NodeState, author: bytes, at_ns: int) -> tuple[int, ...]:
    """Return when an author's disputes of the last day came, under any of its keys (UTC, ns)."""
    raw = state.lineage.get(RAISED, state.registry.line(author)[-1]) or b""
    times = (int.from_bytes(raw[at : at + 8], "big") for at in range(0, len(raw), 8))
    return tuple(one for one in times if one > at_ns - DAY_NS)


def judge_by_rule(
    state: NodeState,
    body: Dispute,
    signed: Attestation,
    author: Subject,
    settled: SettledPair,
    *,
    lower: OpenDispute | None,
) -> Refusal | None:
    """Check a dispute, or its escalation from `lower` to the next level, against the class's dispute terms."""
    terms = settled.terms.disputes
    if terms is None:  # logged only: there is no next level, and no other dispute changes
        if body.escalates is None:
            return None
        return refuse(Reason.TERMS, "dispute.escalates", body.escalates.hex()[:16], "none: the rule has no levels")
    if body.rule != settled.given.rule:
        return refuse(Reason.RULE_UNKNOWN, "dispute.rule", body.rule.hex(), "the version it was settled under")
    ground, role = terms.ground(body.grounds), "holder" if body.against == settled.holder.hash else "user"
    judged = GROUNDS_JUDGED.get(body.grounds)
    if ground is None or judged is None:
        required = ", ".join(one.name for one in terms.grounds)
        return refuse(Reason.TERMS, "dispute.ground", body.grounds, required)
    if role not in judged.against:
        return refuse(Reason.TERMS, "dispute.against", f"the {role}", f"the {' or '.join(judged.against)}")
    if body.escalates is not None:
        return _escalates(state, body, signed, author, settled, lower=lower)
    return judge_raising(terms, signed, settled.given.cell.window.end_ns)


def _escalates(
    state: NodeState,
    body: Dispute,
    signed: Attestation,
    author: Subject,
    settled: SettledPair,
    *,
    lower: OpenDispute | None,
) -> Refusal | None:
    terms, before = settled.terms.disputes, state.record_of(body.escalates)
    if lower is None or before is None or terms is None or (lower.sid, lower.ground) != (body.sid, body.grounds):
        named = body.escalates.hex()[:16] if body.escalates is not None else "none"
        return refuse(Reason.UNKNOWN_SID, "dispute.escalates", named, "a dispute of the same settlement and ground")
    line = {*state.registry.line(author.hash), author.hash}
    sides = {lower.by, settled.holder.hash, settled.user.hash}
    if body.against != lower.against or not sides & line:
        return refuse(Reason.TERMS, "dispute.escalates", author.name, "either side of the dispute, against the same")
    if body.claim > before.body.claim:
        return refuse(Reason.TERMS, "dispute.claim", body.claim, f"<= {before.body.claim}, what was claimed first")
    return judge_move(lower, DisputeMove.ESCALATE) or judge_escalating(terms, lower, signed)


def opened(state: NodeState, step: Step, name: bytes, held: OpenDispute) -> None:
    """Store a dispute that was raised or received; a dispute that it escalates is marked as continued by it."""
    keep(step, name, held)
    now_ns = step.now.time.latest_ns  # by this node's clock: an author may sign with an old time
    times = (*_lately(state, held.by, now_ns), now_ns)
    step.put(RAISED, state.registry.line(held.by)[-1], b"".join(one.to_bytes(8, "big") for one in times))
    lower = dispute_of(state, held.escalates)
    if lower is not None and held.escalates is not None:
        keep(step, held.escalates, moved(lower, DisputeMove.ESCALATE))


# -- answering -----------------------------------------------------------------------------------------------------


def answers_it(state: NodeState, held: OpenDispute) -> bytes:
    """Return the party that may answer a dispute: the accused; if the accused escalated it, the other party."""
    mine, other, _ = settled_here(state, held.sid)
    if held.against not in (held.by, *state.registry.line(held.by)):
        return held.against
    return (other if held.against == mine else mine) or b""


def judge_answer(state: NodeState, body: DisputeAnswer, signed: Attestation, author: Subject) -> OpenDispute | Refusal:
    """Judge whether this author may answer a dispute so now; return the dispute as it stands, or the refusal."""
    held = dispute_of(state, body.dispute)
    if held is None or held.sid != body.sid:
        return refuse(Reason.UNKNOWN_SID, "answer.dispute", body.dispute.hex()[:16], "a dispute on record")
    _, _, decision = settled_here(state, body.sid)
    if body.confirm != decision:
        return refuse(Reason.TERMS, "answer.confirm", body.confirm.hex()[:16], "the settlement's CONFIRM")
    if answers_it(state, held) not in {*state.registry.line(author.hash), author.hash}:
        return refuse(Reason.BINDING, "answer.author", author.name, "whom the dispute is against")
    lacking = next((one for one in body.evidence if state.record_of(one) is None), None)
    if lacking is not None:
        return refuse(Reason.PROOF, "answer.evidence", lacking.hex()[:16], "a record that is in this log")
    settled = gather_settled(body.confirm, sources_of(state))
    terms = settled.terms.disputes if not isinstance(settled, Refusal) else None
    late = judge_answering(terms, held, signed) if terms is not None else None
    return judge_move(held, DisputeMove.ANSWER) or late or held


# -- this node's own disputes and answers --------------------------------------------------------------------------


def raise_dispute(state: NodeState, step: Step, body: Dispute) -> Record | Refusal:
    """Judge a dispute as its reader will, sign it, and send it to the other party until it is acknowledged."""
    me, signed = state.registry.get(state.identity.credential), Attestation.of(step.now)
    held = judge_dispute(state, body, signed, me) if me is not None else _nobody()
    if isinstance(held, Refusal):
        return held
    record = step.sign(body)
    opened(state, step, record.digest, replace(held, by=record.frame.author or b""))
    other = other_party(state, body.sid)
    if other is not None:
        state.holder.leases.debts.say(step, record, other)
    step.event("dispute raised", sid=body.sid, dispute=record.digest, ground=body.grounds, claim=body.claim)
    return record


def answer_dispute(state: NodeState, step: Step, body: DisputeAnswer) -> Record | Refusal:
    """Judge an answer as its reader will, sign it, and send it to the other party until it is acknowledged."""
    me, signed = state.registry.get(state.identity.credential), Attestation.of(step.now)
    held = judge_answer(state, body, signed, me) if me is not None else _nobody()
    if isinstance(held, Refusal):
        return held
    record = step.sign(body)
    keep(step, body.dispute, moved(held, DisputeMove.ANSWER, answer=record.digest))
    other = other_party(state, body.sid)
    if other is not None:
        state.holder.leases.debts.say(step, record, other)
    step.event("dispute answered", sid=body.sid, dispute=body.dispute, stance=body.stance)
    return record


def _nobody() -> Refusal:
    return refuse(Reason.UNKNOWN_AUTHOR, "dispute.author", "no credential of its own", "an admitted credential")


def cited_here(state: NodeState, sid: bytes) -> list[Record]:
    """Return the logged records of a settlement."""
    found = [state.record_of(name) for name in state.lineage.records_of(sid)]
    return [one for one in found if one is not None]
