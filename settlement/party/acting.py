"""What a node does with a record once it is admitted and judged; all of it inside the step's transaction."""

from settlement.chain.admission import Admitted, prove
from settlement.chain.bodies import Verdict
from settlement.chain.codec import cut
from settlement.chain.credentials import Subject
from settlement.core.reasons import Reason, Refusal
from settlement.pair import user as user_side
from settlement.pair.artifact import Artifact
from settlement.pair.envelopes import PLACE
from settlement.party import bounding, recognising
from settlement.party.answering import key_in_use
from settlement.party.coordinating import (
    answer_question,
    countersigned,
    is_dissent,
    is_question,
    take_coordination,
    take_dissent,
)
from settlement.party.heeding import heed
from settlement.party.receipts import is_receipt, receive, take_receipt
from settlement.party.weighing import weigh
from settlement.state import budget
from settlement.state.messages import Message
from settlement.state.nodestate import REVIEW, ROTATED, STATUS, NodeState
from settlement.state.rules import RULE, read_held
from settlement.state.step import Step


def act(state: NodeState, step: Step, admitted: Admitted, message: Message) -> None:
    """Act on one admitted record."""
    match admitted.record.typ:
        case "declaration":
            for name in state.user.superseded(admitted.author.hash, admitted.record.body):
                del state.user.offers[name]
                step.lineage.drop(user_side.HEARD, name)
            state.user.hear(admitted)
            step.put(user_side.HEARD, admitted.record.digest, admitted.record.raw)
            step.event("offer", holder=admitted.author.name, band=admitted.record.body.cell.band)
        case "request":
            bound = bounding.bound_of(state, admitted, step.now.time)
            state.holder.grant(step, admitted, None if isinstance(bound, Refusal) else bound)
            budget.spend(step, state.lineage, state.rule.rule, admitted)
        case "grant":
            _granted(state, step, admitted, message)
        case "coordination":
            take_coordination(state, step, admitted)
        case "accept":
            state.holder.accepted(step, admitted)
        case "confirm":
            _settled(state, step, admitted, message)
        case "abort":
            _aborted(state, step, admitted)
        case "verdict":
            _act_on_verdict(state, step, admitted)
        case "renew" | "suspend" | "resume" | "preempt" | "relinquish":
            _act_on_lease(state, step, admitted)
        case _:
            _act_on_logs(state, step, admitted)


def _granted(state: NodeState, step: Step, admitted: Admitted, message: Message) -> None:
    """Accept what was granted to us; co-sign what was granted to another."""
    if is_question(state, admitted):
        answer_question(state, step, admitted, message)
    else:
        state.user.accept(step, admitted, recognising.derived_from(state, admitted.record))


def _aborted(state: NodeState, step: Step, admitted: Admitted) -> None:
    if state.coordinator.knows(admitted):
        state.coordinator.release(step, admitted.record.body.sid)
    else:
        state.user.aborted(step, admitted)


def _act_on_verdict(state: NodeState, step: Step, admitted: Admitted) -> None:
    if is_receipt(admitted):
        take_receipt(state, step, admitted)
    elif is_dissent(state, admitted):
        take_dissent(state, step, admitted)
    else:
        state.user.refused(step, admitted)


def _act_on_lease(state: NodeState, step: Step, admitted: Admitted) -> None:
    match admitted.record.typ:
        case "renew":
            pair = state.user.renewed(step, admitted)
            step.event("renewed", sid=pair.sid, record=admitted.record.raw)
        case "suspend":
            pair = state.user.suspended(step, admitted)
            step.event("paused", sid=pair.sid, reason=pair.suspended, record=admitted.record.raw)
            receive(step, admitted)
        case "resume":
            pair = state.user.renewed(step, admitted)
            step.event("resumed", sid=pair.sid, record=admitted.record.raw)
            receive(step, admitted)
        case "preempt":
            _displaced(state, step, admitted)
        case _:
            state.holder.relinquished(step, admitted)
            receive(step, admitted)


def _act_on_logs(state: NodeState, step: Step, admitted: Admitted) -> None:
    if admitted.record.typ == "checkpoint":
        state.witness.cosign(step, admitted)
    elif admitted.record.typ == "cosignature":
        state.witness.take(step, admitted)
    elif admitted.record.typ == "evidence":
        _accused(state, step, admitted)
    elif admitted.record.typ == "revocation":
        _revoked(state, step, admitted)
    elif admitted.record.typ == "rotation":
        step.put(ROTATED, admitted.author.hash, admitted.record.raw)
        state.take_rotation(admitted)
        _succeeded(state, step, admitted.author)
        step.event("rotated", author=admitted.author.name)
        _pass_on(state, step, admitted)
    elif admitted.record.typ == "rule":
        _ruled(state, step, admitted)
    elif admitted.record.typ in ("usage", "fallback", "ruling"):
        budget.credit(step, state.lineage, admitted)
    elif admitted.record.typ == "envelope" and admitted.record.body.kind == PLACE:
        displaced = heed(step, state.holder, state.rule, admitted)
        if displaced is None:
            weigh(state, step, admitted)


def _succeeded(state: NodeState, step: Step, old: Subject) -> None:
    """What was offered under a key that was succeeded will not be granted; what was seen of its log still counts."""
    successor = state.registry.successor(old.hash)
    if successor is not None:
        state.witness.succeeded(step, old.hash, successor)
        state.holder.patience.succeeded(step, old.hash, successor)
    for digest in [d for d, offer in state.user.offers.items() if offer.holder == old.hash]:
        del state.user.offers[digest]
        step.lineage.drop(user_side.HEARD, digest)


def _ruled(state: NodeState, step: Step, admitted: Admitted) -> None:
    """Take a new rule; it comes into force with its window, by this node's clock, and goes on to the neighbours."""
    new = read_held(admitted.record.raw, admitted.author.chain, state.registry)
    if isinstance(new, Refusal):
        raise TypeError("a rule is taken only after it was judged")
    state.rules.take(new)
    step.put(RULE, new.key, new.raw)
    body = new.rule.rule
    step.event("rule", rule=body.name, version=body.version, from_ns=body.effective.start_ns)
    step.event("ruled", record=new.raw, chain=new.chain)
    _pass_on(state, step, admitted)


def _accused(state: NodeState, step: Step, admitted: Admitted) -> None:
    """A neighbour proves that a key signed two things: where it is this node's own, somebody else has it."""
    proven = prove(admitted.record.body.second, state.registry)
    if isinstance(proven, Admitted) and proven.author.hash in state.own_line:
        key_in_use(state, step, proven.author, f"{admitted.author.name} holds two records signed with it")


def _revoked(state: NodeState, step: Step, admitted: Admitted) -> None:
    """Take a status list; settled pairs go on, but each one with a revoked party is put under review."""
    step.put(STATUS, admitted.author.hash, admitted.record.raw)
    state.take_status(admitted)
    now, signed = step.now.time, admitted.record.frame.attestation
    step.event("status list", author=admitted.author.name, took_ms=(now.middle_ns - signed.latest_ns) / 1e6)
    for pair in state.holder.pairs.values():
        other = state.registry.get(pair.user)
        revoked = state.status.standing(other, state.registry, now) if other and pair.live else None
        if revoked is None or revoked.reason is not Reason.REVOKED or state.lineage.get(REVIEW, pair.sid):
            continue
        step.put(REVIEW, pair.sid, admitted.record.digest)
        step.sign(
            Verdict(
                subject=pair.decision or pair.grant,
                reason=Reason.REVOKED.value,
                clause="review.opened",
                measured=revoked.measured,
                required=revoked.required,
            )
        )
        step.event("review", sid=pair.sid, reason=Reason.REVOKED.value)
    _pass_on(state, step, admitted)


def _pass_on(state: NodeState, step: Step, admitted: Admitted) -> None:
    """An authority's word goes on to the neighbours, once."""
    for neighbour in state.witness.neighbours():
        step.pass_on(neighbour.hash, admitted.record.raw)


def _settled(state: NodeState, step: Step, admitted: Admitted, message: Message) -> None:
    pair = state.user.settled(step, admitted)
    grant, accept = state.record_bytes(pair.grant), state.record_bytes(pair.accept)
    mine = state.registry.get(state.identity.credential)
    granted = state.record_of(pair.grant) if pair.grant is not None else None
    held = state.rules.known(granted.body.rule) if granted is not None else None
    if grant is None or accept is None or mine is None or message.proof is None or held is None or granted is None:
        raise ValueError("a settled pair lacks one of its records")
    artifact = Artifact(
        grant=grant,
        accept=accept,
        confirm=admitted.record.raw,
        holder_chain=admitted.author.chain,
        user_chain=mine.chain,
        rule=held.raw,
        rule_chain=held.chain,
        proof=message.proof,
        derivation=recognising.raws(state, granted),
        envelopes=tuple(one.raw for one in bounding.rests_on(state, granted)) or None,
        coordination=countersigned(state, message) or None,
    )
    encoded = artifact.encoded()
    step.put("artifact", pair.sid, encoded)
    step.event("permit", sid=pair.sid, artifact=encoded)


def _displaced(state: NodeState, step: Step, admitted: Admitted) -> None:
    body = admitted.record.body
    step.event("displaced", sid=body.sid, reason=body.reason, vacate_by_ns=body.vacate_by_ns)
    state.user.end(step, body.sid, cut(f"preempted: {body.reason}", 64))
