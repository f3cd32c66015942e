"""Handles CONFIRM, which puts a user's settlement in force, and ABORT, which ends it or frees a co-signed cell."""

from dataclasses import dataclass

from settlement.chain.weights import FAILED, UNANSWERED
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import Artifact
from settlement.pair.effects import HandPermit
from settlement.pair.holder import STORE as HOLDER
from settlement.pair.holderpairs import HolderPair
from settlement.pair.table import Event, HolderState, UserState
from settlement.pair.userpairs import UserPair
from settlement.records.conduct import cosignatures, decided, envelopes, handover, recognition, together
from settlement.records.conduct.alarms import keep_evidence
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.decision import Abort, Confirm
from settlement.state.messages import Message, decode_message
from settlement.state.nodestate import NodeState
from settlement.state.step import REPLY

# -- confirm -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePermit:
    """A valid CONFIRM for this user, with the artifact that proves the settlement offline."""

    pair: UserPair
    artifact: Artifact


def _judge_confirm(case: RecordCase) -> MadePermit | Refusal:
    """Judge a CONFIRM: with a log proof, co-signed as the GRANT's rule requires, all records behind it known here.

    Returns the artifact of the settlement, built from these records.
    """
    state, message = case.state, case.message
    pair = state.user.judge_decision(case.admitted, Event.CONFIRM)
    if isinstance(pair, Refusal):
        return pair
    if message.proof is None:
        return refuse(Reason.PROOF, "confirm.proof", "absent", "proof that it is logged")
    granted, accept = state.record_of(pair.grant), state.record_bytes(pair.accept)
    held = state.rules.known(granted.body.rule) if granted is not None else None
    mine = state.registry.get(state.identity.credential)
    if granted is None or accept is None or held is None or mine is None:
        return refuse(Reason.UNKNOWN_SID, "coordination.grant", "unknown", "the GRANT of this CONFIRM")
    beside = cosignatures.countersigned(state, message)
    refusal = cosignatures.judge_countersigned(granted, held, case.admitted, beside, state.registry)
    if refusal is not None:
        return refusal
    grant = state.admitted_of(granted.digest)
    if grant is None:
        return refuse(Reason.UNKNOWN_SID, "confirm.grant", granted.digest.hex()[:16], "a GRANT that was taken here")
    handed = handover.handed_beside(state, message, grant, case.admitted)
    if isinstance(handed, Refusal):
        return handed
    artifact = Artifact(
        grant=granted.raw,
        accept=accept,
        confirm=case.record.raw,
        holder_chain=case.author.chain,
        user_chain=mine.chain,
        rule=held.raw,
        rule_chain=held.chain,
        proof=message.proof,
        derivation=recognition.raws(state, granted),
        envelopes=tuple(one.raw for one in envelopes.rests_on(state, granted)) or None,
        coordination=beside or None,
        handed=handed,
        decided=decided.shown(state, granted),
    )
    return MadePermit(pair=pair, artifact=artifact)


def lent_artifact(state: NodeState, pair: HolderPair) -> Artifact | None:
    """Return the artifact of a settlement that this node granted, from its log; None until its CONFIRM was sent.

    It has the log proof, with the witnesses' cosignatures, that went to the user with the CONFIRM.
    """
    sent = state.lineage.get(REPLY, pair.accept) if pair.accept is not None else None
    message = decode_message(sent) if sent is not None else None
    granted, accept = state.record_of(pair.grant), state.record_bytes(pair.accept)
    confirm = state.record_of(pair.decision)
    held = state.rules.known(granted.body.rule) if granted is not None else None
    if not isinstance(message, Message) or message.proof is None or confirm is None or message.record != confirm.raw:
        return None
    holder = state.registry.get(granted.frame.author) if granted is not None and granted.frame.author else None
    user = state.registry.get(pair.user)
    if granted is None or accept is None or held is None or holder is None or user is None:
        return None
    return Artifact(
        grant=granted.raw,
        accept=accept,
        confirm=confirm.raw,
        holder_chain=holder.chain,
        user_chain=user.chain,
        rule=held.raw,
        rule_chain=held.chain,
        proof=message.proof,
        derivation=recognition.raws(state, granted),
        envelopes=tuple(one.raw for one in envelopes.rests_on(state, granted)) or None,
        coordination=cosignatures.countersigned(state, message) or None,
        decided=decided.shown(state, granted),
    )


def _settle(case: RecordCase, made: MadePermit) -> None:
    sid, encoded = made.pair.sid, made.artifact.encoded()
    case.state.user.settled(case.step, made.pair, case.admitted)
    if made.pair.whole is not None:
        together.settled(case.state, case.step, made.pair, encoded)
        return
    case.step.put("artifact", sid, encoded)
    if made.pair.cell.band.unit is not None:
        return  # a band in another unit than Hz needs no permit of a radio
    case.step.ask(HandPermit(sid=sid, artifact=encoded))


def _keep_evidence(case: RecordCase, refusal: Refusal) -> None:
    if refusal.reason is Reason.EQUIVOCATION:
        keep_evidence(case.state, case.step, case.admitted)


def _confirmed(told: Retelling, said: Said) -> None:
    body = said.body
    fields = {"accept": body.accept, "decision": said.digest, "transmit_until_ns": body.transmit_until_ns}
    told.as_holder(body.sid, state=HolderState.CONFIRMED, **fields)


def _settled(told: Retelling, said: Said) -> None:
    body = said.body
    settled = {"decision": said.digest, "transmit_until_ns": body.transmit_until_ns, "fence": body.fence}
    told.as_user(body.sid, state=UserState.SETTLED, **settled)


# -- abort -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Releasing:
    """The settlement of another holder that this node co-signed, and that its holder aborted."""

    sid: bytes


def _judge_abort(case: RecordCase) -> UserPair | Releasing | Refusal:
    if case.state.coordinator.knows(case.admitted):
        return Releasing(sid=case.body.sid)
    return case.state.user.judge_decision(case.admitted, Event.ABORT)


def _abort(case: RecordCase, ending: UserPair | Releasing) -> None:
    match ending:
        case Releasing(sid=sid):
            case.state.coordinator.release(case.step, sid)
        case UserPair():
            case.state.user.aborted(case.step, ending, case.admitted)


def _aborted(told: Retelling, said: Said) -> None:
    body = said.body
    told.as_holder(body.sid, state=HolderState.ABORTED, accept=body.accept, decision=said.digest)
    if body.reason in UNANSWERED and (HOLDER, body.sid) in told.pairs:
        told.counters[FAILED + told.pairs[HOLDER, body.sid]["user"].hex()] += 1


CONDUCT = (
    Conduct(body=Confirm, judge=_judge_confirm, act=_settle, refused=_keep_evidence, own=_confirmed, heard=_settled),
    Conduct[UserPair | Releasing](
        body=Abort,
        judge=_judge_abort,
        act=_abort,
        refused=_keep_evidence,
        own=_aborted,
        heard=lambda told, said: told.as_user(said.body.sid, state=UserState.ABORTED, decision=said.digest),
    ),
)
