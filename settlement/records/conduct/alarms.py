"""Evidence that a node keeps of two contradictory records by one author, and the alarm to its operator."""

from settlement.chain.admission import Admitted
from settlement.chain.codec import cut
from settlement.chain.credentials import Subject
from settlement.core.reasons import Reason, Refusal
from settlement.records.decision import Abort, Confirm
from settlement.records.grant import Accept
from settlement.records.verdict import Verdict
from settlement.records.witness import Evidence
from settlement.state.nodestate import NodeState
from settlement.state.step import Step
from settlement.state.witness import PROOFS_EACH

ALARM = "alarm"
"""Stored rows: credentials whose key was seen in use in two places, and when that was first noted (UTC, ns)."""
EVIDENCE_BYTES_MAX = 30_000
UNSURE = (Reason.TIME_UNDECIDED, Reason.TIME_UNTRUSTED, Reason.NOT_YET, Reason.POSITION_UNTRUSTED)
"""Reasons of a refusal that may be judged otherwise at another time."""
UNCITED = ("dispute.evidence", "answer.evidence")
"""Clauses of refusals because a cited record is not here: the citing author is told, and sends the cited record."""
EARLY = (
    "ruling.dispute",
    "dispute.case",
    "ruling.unanswered",
    "case.answer",
    "case.evidence",
    "case.escalates",
    "answer.dispute",
    "compensation.ruling",
    "compensation.moved",
    *UNCITED,
)
"""Clauses of refusals because a record came before the one that it refers to: it is sent again, and counts then."""


def may_change(refusal: Refusal) -> bool:
    """Whether the same record may be judged otherwise when it comes again."""
    return refusal.reason in UNSURE or refusal.clause in EARLY


def verdict_on(subject: bytes, refusal: Refusal) -> Verdict:
    """Return the verdict that tells a record's author the refusal."""
    return Verdict(
        subject=subject,
        reason=refusal.reason.value,
        clause=cut(refusal.clause, 128),
        measured=cut(refusal.measured, 512),
        required=cut(refusal.required, 512),
    )


def keep_evidence(state: NodeState, step: Step, admitted: Admitted) -> None:
    """Sign the proof that an author signed two contradictory records, send it to the author, and raise an alarm (I14).

    At most PROOFS_EACH proofs are signed against one author.
    """
    record = admitted.record
    first = _said_before(state, admitted)
    proofs = step.count(f"evidence:{admitted.author.hash.hex()}") if first is not None else 0
    if first is not None and proofs <= PROOFS_EACH and max(len(first), len(record.raw)) <= EVIDENCE_BYTES_MAX:
        evidence = step.sign(Evidence(reason=Reason.EQUIVOCATION.value, first=first, second=record.raw))
        # The key's owner must know: either it is dishonest, or somebody else has its key.
        step.pass_on(admitted.author.hash, evidence.raw)
    step.event("equivocation", author=admitted.author.name)
    key_in_use(state, step, admitted.author, f"two records that cannot both be honest, the second a {record.typ}")


def _said_before(state: NodeState, admitted: Admitted) -> bytes | None:
    """Return the author's earlier record that contradicts this one: same settlement, else same number."""
    record, first = admitted.record, None
    match record.body:
        case Accept(sid=sid):
            pair = state.holder.pairs.get(sid)
            first = state.record_bytes(pair.accept) if pair is not None else None
        case Confirm(sid=sid) | Abort(sid=sid):
            held = state.user.by_sid(sid)
            first = state.record_bytes(held.decision) if held is not None else None
        case _:
            pass
    if first is None and record.frame.author is not None:
        first = state.record_bytes(state.lineage.author_record(record.frame.author, record.frame.seq))
    return first


def key_in_use(state: NodeState, step: Step, owner: Subject, why: str) -> None:
    """Raise an alarm to this node's operator: a key is in use in two places, or its owner is not honest."""
    if state.lineage.get(ALARM, owner.hash) is None:
        step.put(ALARM, owner.hash, step.now.time.latest_ns.to_bytes(8, "big"))
    whose = "this node's own key" if owner.hash in state.own_line else f"the key of {owner.name}"
    step.event("alarm", what=f"{whose} is in use elsewhere, or its owner says two things", why=why, owner=owner.name)
