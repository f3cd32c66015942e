"""The protocol's own judgement on a record that admission let through: a refusal, or None where it may be acted on."""

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Grant
from settlement.chain.rotation import judge_rotation
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.table import Event
from settlement.pair.terms import deal_of_grant, judge_terms
from settlement.pair.windows import still_here
from settlement.party import bounding, recognising
from settlement.party.complaints import COMPLAINTS, judge_complaint
from settlement.party.coordinating import (
    is_dissent,
    is_question,
    judge_coordination,
    judge_countersigned,
    judge_question,
)
from settlement.party.evidence import judge_evidence
from settlement.party.receipts import is_receipt, judge_receipt
from settlement.records.row import Becomes
from settlement.state import budget
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState
from settlement.state.rules import read_held
from settlement.state.step import Step

OFFERS_MAX = 32
"""Offers of one holder that are remembered; each holder has a share of its own, so that nobody takes another's."""
HANDLED_BY_HOLDER = {"request", "accept", "relinquish", "usage"}


def judge(state: NodeState, admitted: Admitted, message: Message, step: Step) -> Refusal | None:
    """May this record be acted on?"""
    typ, now = admitted.record.typ, step.now.time
    if typ in HANDLED_BY_HOLDER:
        return _judge_as_holder(state, admitted, step)
    if is_question(state, admitted):
        return judge_granted(state, admitted) or judge_question(state, admitted, message, step)
    match typ:
        case "coordination":
            return judge_coordination(state, admitted)
        case "declaration":
            return _judge_offer(state, admitted, now) or bounding.judge_offer(state, admitted)
        case "evidence":
            return judge_evidence(admitted.record.body, state.registry)
        case "envelope":
            return None
        case "rule":
            return _judge_rule(state, admitted)
        case _ if typ in COMPLAINTS:
            return judge_complaint(state, admitted)
        case _ if admitted.record.row.becomes is Becomes.NOTED:
            return None
        case "checkpoint" | "cosignature" | "revocation" | "rotation":
            return _judge_about_authors(state, admitted, step)
        case _:
            return _judge_as_user(state, admitted, message, step)


def _judge_as_holder(state: NodeState, admitted: Admitted, step: Step) -> Refusal | None:
    match admitted.record.typ:
        case "request":
            judged = state.holder.judge_request(admitted, step.now.time)
            judged = judged or bounding.judge_request(state, admitted, step.now.time)
            return judged or budget.judge(
                state.lineage, state.rule.rule, admitted, step.now.time, state.registry.line(admitted.author.hash)
            )
        case "accept":
            return state.holder.judge_accept(admitted, step.now.time) or _recognised(state, admitted)
        case "relinquish":
            return state.holder.judge_of_user(admitted, Event.RELINQUISH)
        case _:
            return state.holder.judge_of_user(admitted, Event.USAGE)


def _judge_as_user(state: NodeState, admitted: Admitted, message: Message, step: Step) -> Refusal | None:
    typ, now = admitted.record.typ, step.now.time
    match typ:
        case "grant":
            asked = state.record_of(admitted.record.body.request)
            judged = state.user.judge_grant(admitted, asked.body if asked else None, now)
            judged = judged or still_here(step.now.position, admitted.record.body.cell.area)
            judged = judged or judge_granted(state, admitted)
            return judged or bounding.judge_grant(state, admitted) or recognising.judge_grant(state, admitted)
        case "verdict":
            if is_receipt(admitted):
                return judge_receipt(state, admitted)
            return None if is_dissent(state, admitted) else state.user.judge_verdict(admitted)
        case "confirm":
            missing = refuse(Reason.PROOF, "confirm.proof", "absent", "proof that it is logged")
            refusal = state.user.judge_decision(admitted, Event.CONFIRM) or (None if message.proof else missing)
            return refusal or judge_countersigned(state, admitted, message)
        case "abort" if state.coordinator.knows(admitted):
            return None
        case "abort":
            return state.user.judge_decision(admitted, Event.ABORT)
        case "renew":
            return state.user.judge_renew(admitted)
        case "suspend" | "resume":
            return state.user.judge_lease(admitted, Event(typ))
        case "preempt":
            pair = state.user.by_sid(admitted.record.body.sid)
            granted = state.record_of(pair.grant) if pair is not None and pair.grant else None
            return state.user.judge_preempt(admitted, granted.body if granted else None)
        case _:
            return refuse(Reason.TYPE, "party.typ", typ, "a type that travels between nodes")


def judge_granted(state: NodeState, admitted: Admitted) -> Refusal | None:
    """The terms of a GRANT by the rule it cites and by both credentials, whatever its holder and its user agreed on."""
    body: Grant = admitted.record.body
    held, user = state.rules.known(body.rule), state.registry.get(body.user)
    if held is None:
        return refuse(Reason.RULE_UNKNOWN, "grant.rule", body.rule.hex()[:16], "a rule known here")
    if user is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "grant.user", body.user.hex()[:16], "an admitted credential")
    return judge_terms(deal_of_grant(admitted.record), held.rule.rule, holder=admitted.author, user=user)


def _judge_offer(state: NodeState, admitted: Admitted, now: TimeFix) -> Refusal | None:
    """Offers are many neighbours' and few each; those that are over, and those that are made anew, make room."""
    theirs = [offer for offer in state.user.offers.values() if offer.holder == admitted.author.hash]
    again = state.user.superseded(admitted.author.hash, admitted.record.body)
    held = sum(1 for one in theirs if one.declaration not in again and not now.after(one.body.cell.window.end_ns))
    required = f"< {OFFERS_MAX} of one holder"
    return refuse(Reason.BUDGET, "declaration.held", held, required) if held >= OFFERS_MAX else None


def _recognised(state: NodeState, admitted: Admitted) -> Refusal | None:
    """A GRANT is confirmed under the rule it was signed under, if that is in force still, and by its recognition."""
    granted = state.record_of(state.holder.pairs[admitted.record.body.sid].grant)
    if granted is None or granted.body.rule != state.rule.hash:
        was = "unknown" if granted is None else granted.body.rule.hex()[:16]
        return refuse(Reason.TERMS, "accept.rule", was, f"the rule in force, {state.rule.hash.hex()[:16]}")
    return recognising.judge_accept(state, granted, admitted.record)


def _judge_rule(state: NodeState, admitted: Admitted) -> Refusal | None:
    """A rule by an authority that may rule, which follows the newest one known here."""
    new = read_held(admitted.record.raw, admitted.author.chain, state.registry)
    return new if isinstance(new, Refusal) else state.rules.judge(new)


def _judge_about_authors(state: NodeState, admitted: Admitted, step: Step) -> Refusal | None:
    body = admitted.record.body
    match admitted.record.typ:
        case "checkpoint":
            return state.witness.judge_checkpoint(admitted, step)
        case "cosignature":
            return state.witness.judge_cosignature(admitted, step)
        case "revocation":
            return state.status.judge(admitted.author, body, step.now.time)
        case _:
            successor = judge_rotation(admitted.author, body, state.registry)
            return successor if isinstance(successor, Refusal) else None
