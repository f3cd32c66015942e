"""Co-signatures in the loop of a node: as one who is asked, as the holder who asks, as the user who checks."""

from settlement.chain.admission import Admitted, prove, timeless
from settlement.chain.bodies import Grant
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import Countersigned
from settlement.pair.coordination import CoordinationSigned, belongs, lacking, shards_of
from settlement.pair.coordinator import Question
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState
from settlement.state.step import Step

# -- one who is asked ------------------------------------------------------------------------------------------------


def is_question(state: NodeState, admitted: Admitted) -> bool:
    """A GRANT to somebody else: its holder asks this node to co-sign."""
    return admitted.record.typ == "grant" and admitted.record.body.user != state.identity.credential


def _accept_of(state: NodeState, message: Message) -> Admitted | Refusal | None:
    if not message.beside:
        return None
    taken = prove(message.beside[0], state.registry)
    return taken if isinstance(taken, Refusal) else timeless(taken, state.rule) or taken


def _question(state: NodeState, admitted: Admitted, message: Message) -> Question:
    me = state.registry.get(state.identity.credential)
    if me is None:
        raise TypeError("this node's own credential is not in its registry")
    return Question(me=me, rule=state.rule.rule, grant=admitted, accept=_accept_of(state, message))


def judge_question(state: NodeState, admitted: Admitted, message: Message, step: Step) -> Refusal | None:
    """May this node co-sign it?"""
    now = step.now.time
    own = [pair.cell for pair in state.holder.busy.values() if not now.after(pair.busy_until_ns)]
    return state.coordinator.judge(_question(state, admitted, message), now, own)


def answer_question(state: NodeState, step: Step, admitted: Admitted, message: Message) -> None:
    """Co-sign."""
    state.coordinator.sign(step, _question(state, admitted, message))


# -- the holder who asks ---------------------------------------------------------------------------------------------


def judge_coordination(state: NodeState, admitted: Admitted) -> Refusal | None:
    """A co-signature for a settlement of ours."""
    pair = state.holder.pairs.get(admitted.record.body.sid)
    granted = state.record_of(pair.grant) if pair is not None else None
    return state.holder.judge_coordination(admitted, granted.body if granted else None)


def take_coordination(state: NodeState, step: Step, admitted: Admitted) -> None:
    """One more has signed. What may no longer be confirmed, whoever signs, is aborted."""
    pair = state.holder.pairs[admitted.record.body.sid]
    user, granted = state.registry.get(pair.user), state.record_of(pair.grant)
    stands = state.status.standing(user, state.registry, step.now.time) if user is not None else None
    if pair.decision is None and stands is not None:
        state.holder.abort(step, pair.sid, stands.reason, pair.accept)
    elif pair.decision is None and (granted is None or granted.body.rule != state.rule.hash):
        state.holder.abort(step, pair.sid, Reason.TERMS, pair.accept)
    else:
        state.holder.coordinated(step, admitted, lambda name: _known(state, name))


def _known(state: NodeState, name: bytes) -> Admitted | None:
    raw = state.record_bytes(name)
    found = prove(raw, state.registry) if raw is not None else None
    return found if isinstance(found, Admitted) else None


def is_dissent(state: NodeState, admitted: Admitted) -> bool:
    """A refusal to co-sign by one who was asked."""
    body = admitted.record.body
    return admitted.record.typ == "verdict" and state.holder.refusing(admitted.author.hash, body.subject) is not None


def take_dissent(state: NodeState, step: Step, admitted: Admitted) -> None:
    """Somebody knows why not: abort, with that reason."""
    body = admitted.record.body
    reason = Reason(body.reason) if body.reason in list(Reason) else Reason.QUORUM
    state.holder.dissent(step, admitted.author.hash, body.subject, reason)


# -- the user who checks ---------------------------------------------------------------------------------------------


def countersigned(state: NodeState, message: Message) -> tuple[Countersigned, ...]:
    """What lies beside a CONFIRM, with the chains that prove it."""
    found = (prove(raw, state.registry) for raw in message.beside or ())
    admitted = [one for one in found if isinstance(one, Admitted) and one.record.typ == "coordination"]
    return tuple(Countersigned(record=one.record.raw, chain=one.author.chain) for one in admitted)


def judge_countersigned(state: NodeState, admitted: Admitted, message: Message) -> Refusal | None:
    """A CONFIRM counts only with every co-signature that the GRANT's rule asks for."""
    pair = state.user.by_sid(admitted.record.body.sid)
    granted = state.record_of(pair.grant) if pair is not None and pair.grant else None
    held = state.rules.known(granted.body.rule) if granted is not None else None
    if pair is None or granted is None or held is None:
        return refuse(Reason.UNKNOWN_SID, "coordination.grant", "unknown", "the GRANT of this CONFIRM")
    grant: Grant = granted.body
    if not shards_of(held.rule.rule, grant.cell):
        return None
    signed = []
    for one in countersigned(state, message):
        found = prove(one.record, state.registry)
        if isinstance(found, Refusal):
            return found
        refusal = timeless(found, held.rule) or belongs(
            found.record.body, grant, granted.digest, admitted.record.body.accept
        )
        if refusal is not None:
            return refusal
        signed.append(CoordinationSigned(author=found.author, body=found.record.body))
    return lacking(held.rule.rule, grant.cell, pair.holder, signed)
