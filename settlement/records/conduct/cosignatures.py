"""Co-signatures at a node: as a co-signer that is asked, and as the user that checks them."""

from settlement.chain.admission import Admitted, prove, timeless
from settlement.chain.bodies import Coordination, Grant
from settlement.chain.credentials import Registry
from settlement.chain.records import Record
from settlement.chain.ruling import HeldRule
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import Countersigned
from settlement.pair.coordination import CoordinationSigned, belongs, lacking, shards_of
from settlement.pair.coordinator import Cosigning, Question
from settlement.records.handover import Handover
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState

# -- one who is asked ------------------------------------------------------------------------------------------------


def is_question(state: NodeState, admitted: Admitted) -> bool:
    """Whether a GRANT is to another node: its holder then asks this node to co-sign."""
    return bool(admitted.record.body.user != state.identity.credential)


def _accept_of(state: NodeState, message: Message) -> Admitted | Refusal | None:
    if not message.beside:
        return None
    taken = prove(message.beside[0], state.registry)
    return taken if isinstance(taken, Refusal) else timeless(taken, state.rule) or taken


def judge_question(state: NodeState, admitted: Admitted, message: Message, now: TimeFix) -> Cosigning | Refusal:
    """Return what this node co-signs, or why it does not; a HANDOVER that the GRANT names was judged before.

    The ACCEPT is the first record beside the GRANT; this node's own reservations in the window count as conflicts.
    """
    me = state.registry.get(state.identity.credential)
    if me is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "coordination.me", "no credential of its own", "an admitted credential")
    handover = state.record_of(admitted.record.body.handover, admitted=True)
    question = Question(
        me=me,
        rule=state.rule.rule,
        grant=admitted,
        accept=_accept_of(state, message),
        of=handover.body.sid if handover is not None and isinstance(handover.body, Handover) else None,
    )
    busy = state.holder.busy_in(admitted.record.body.cell.window)
    own = {pair.sid: pair.cell for pair in busy if not now.after(pair.busy_until_ns)}
    return state.coordinator.judge(question, now, own)


# -- the user who checks ---------------------------------------------------------------------------------------------


def countersigned(state: NodeState, message: Message) -> tuple[Countersigned, ...]:
    """Return the co-signatures beside a CONFIRM, with the credential chains that prove them."""
    found = (prove(raw, state.registry) for raw in message.beside or ())
    admitted = [one for one in found if isinstance(one, Admitted) and isinstance(one.record.body, Coordination)]
    return tuple(Countersigned(record=one.record.raw, chain=one.author.chain) for one in admitted)


def judge_countersigned(
    grant: Record, held: HeldRule, confirm: Admitted, beside: tuple[Countersigned, ...], registry: Registry
) -> Refusal | None:
    """Refuse a CONFIRM that lacks a co-signature that its GRANT's rule requires, or comes with an invalid one."""
    body: Grant = grant.body
    if not shards_of(held.rule.rule, body.cell):
        return None
    signed = []
    for one in beside:
        found = prove(one.record, registry)
        if isinstance(found, Refusal):
            return found
        refusal = timeless(found, held.rule) or belongs(
            found.record.body, body, grant.digest, confirm.record.body.accept
        )
        if refusal is not None:
            return refusal
        signed.append(CoordinationSigned(author=found.author, body=found.record.body))
    return lacking(held.rule.rule, body.cell, confirm.author.hash, signed)
