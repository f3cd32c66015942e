"""What a node answers to a record it refused, and what it keeps of two records that cannot both be honest."""

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Evidence, Verdict
from settlement.chain.codec import cut
from settlement.chain.credentials import Subject
from settlement.core.reasons import Reason, Refusal
from settlement.pair.table import HolderState
from settlement.party.coordinating import is_question
from settlement.records.decision import DECISIONS
from settlement.state import budget
from settlement.state.nodestate import NodeState
from settlement.state.step import Step
from settlement.state.witness import PROOFS_EACH

ALARM = "alarm"
"""Keys that were seen in use in two places, and when first (UTC ns)."""
EVIDENCE_BYTES_MAX = 30_000
FATAL = frozenset(
    {
        Reason.TIMEOUT,
        Reason.CHALLENGE,
        Reason.TERMS,
        Reason.ENVELOPE,
        Reason.SPATIAL_OUTSIDE,
        Reason.SPATIAL_UNDECIDED,
    }
)
"""Reasons against an ACCEPT that no other ACCEPT could mend: the settlement is off, and the user is told."""


UNSURE = (Reason.TIME_UNDECIDED, Reason.TIME_UNTRUSTED, Reason.NOT_YET, Reason.POSITION_UNTRUSTED)
"""What another moment may decide otherwise."""


def verdict_on(subject: bytes, refusal: Refusal) -> Verdict:
    """A refusal as its author is told it."""
    return Verdict(
        subject=subject,
        reason=refusal.reason.value,
        clause=cut(refusal.clause, 128),
        measured=cut(refusal.measured, 512),
        required=cut(refusal.required, 512),
    )


def answer_refused(state: NodeState, step: Step, admitted: Admitted, refusal: Refusal) -> None:
    """Nobody is refused a REQUEST or an ACCEPT without a signed reason."""
    record = admitted.record
    step.answering(record.digest)
    if record.typ == "request":
        if step.send_again(admitted.author.hash, record.digest):
            step.answering(None)
            return  # it was answered before, whatever the clock says now
        if refusal.reason is Reason.BUDGET and refusal.clause == "budget.amount":
            budget.suspend(step, state.rule.rule, admitted)
        step.send(admitted.author.hash, step.sign(verdict_on(record.digest, refusal)).raw)
    elif record.typ == "grant" and is_question(state, admitted):
        _refuse_to_cosign(step, admitted, refusal)
    elif record.typ == "accept":
        _answer_accept(state, step, admitted, refusal)
    elif isinstance(record.body, DECISIONS) and refusal.reason is Reason.EQUIVOCATION:
        keep_evidence(state, step, admitted)
    elif record.typ == "checkpoint":
        state.witness.refused_checkpoint(step, admitted, refusal)
    elif record.typ == "cosignature":
        state.witness.refused_cosignature(step, admitted, refusal)
        if refusal.reason is Reason.HALT_BEHIND_WITNESS:
            state.halt(step, refusal)
    step.answering(None)


def _refuse_to_cosign(step: Step, admitted: Admitted, refusal: Refusal) -> None:
    """A signed reason; none where the same question may yet be answered otherwise, or was answered before."""
    subject = admitted.record.digest
    if refusal.reason in UNSURE or step.send_again(admitted.author.hash, subject):
        return
    step.send(admitted.author.hash, step.sign(verdict_on(subject, refusal)).raw)


def _answer_accept(state: NodeState, step: Step, admitted: Admitted, refusal: Refusal) -> None:
    pair = state.holder.pairs.get(admitted.record.body.sid)
    if pair is None or pair.user != admitted.author.hash:
        return
    if refusal.reason is Reason.EQUIVOCATION:
        keep_evidence(state, step, admitted)
    if pair.accept is not None and step.send_again(pair.user, pair.accept):
        return  # the very answer it got, with its proof
    if pair.state == HolderState.ABORTED:
        decided = state.record_bytes(pair.decision)
        if decided is not None:
            step.send(pair.user, decided)
    elif pair.decision is not None:
        return  # a CONFIRM leaves with its proof, once its witnesses have seen it
    elif refusal.reason in FATAL:
        state.holder.abort(step, pair.sid, refusal.reason, admitted.record.digest)


def keep_evidence(state: NodeState, step: Step, admitted: Admitted) -> None:
    """Two records that cannot both be honest prove it by themselves (I14)."""
    record = admitted.record
    first = None
    if record.typ == "accept":
        pair = state.holder.pairs.get(record.body.sid)
        first = state.record_bytes(pair.accept) if pair is not None and pair.accept else None
    elif isinstance(record.body, DECISIONS):
        held = state.user.by_sid(record.body.sid)
        first = state.record_bytes(held.decision) if held is not None and held.decision else None
    if first is None and record.frame.author is not None:
        other = state.lineage.author_record(record.frame.author, record.frame.seq)
        first = state.record_bytes(other) if other else None
    proofs = step.count(f"evidence:{admitted.author.hash.hex()}") if first is not None else 0
    if first is not None and proofs <= PROOFS_EACH and max(len(first), len(record.raw)) <= EVIDENCE_BYTES_MAX:
        evidence = step.sign(Evidence(reason=Reason.EQUIVOCATION.value, first=first, second=record.raw))
        # Its owner must know: either it says two things, or somebody else has its key.
        step.pass_on(admitted.author.hash, evidence.raw)
    step.event("equivocation", author=admitted.author.name)
    key_in_use(state, step, admitted.author, f"two records that cannot both be honest, the second a {record.typ}")


def key_in_use(state: NodeState, step: Step, owner: Subject, why: str) -> None:
    """An alarm for whoever operates this node: a key is in use in two places, or its owner is not honest."""
    if state.lineage.get(ALARM, owner.hash) is None:
        step.put(ALARM, owner.hash, step.now.time.latest_ns.to_bytes(8, "big"))
    whose = "this node's own key" if owner.hash in state.own_line else f"the key of {owner.name}"
    step.event("alarm", what=f"{whose} is in use elsewhere, or its owner says two things", why=why, owner=owner.name)
