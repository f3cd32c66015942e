"""The transition table of a dispute: its states, the moves between them, and when each is allowed. Pure.

A move that is not in the table is refused as OUT_OF_ORDER. The stored state of a dispute follows from its records
alone.

RAISED     the accused has not answered yet
ANSWERED   the authority of the dispute's level has not ruled yet
RULED      decided; what the ruling orders is owed
PAID       the COMPENSATION that the ruling ordered was signed
ESCALATED  continued by another dispute, at the next level of authority
"""

from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import Any

from settlement.chain.codec import blob, encode, text, uint
from settlement.chain.records import Attestation
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.work import STORED_LIMIT, stored_as
from settlement.records.complaintterms import DisputeTerms

STORE = "dispute"


class DisputeState(IntEnum):
    """States of a dispute; part of the stored form."""

    RAISED = 1
    ANSWERED = 2
    RULED = 3
    PAID = 4
    ESCALATED = 5


class DisputeMove(Enum):
    """Events that move a dispute to another state."""

    ANSWER = "answer"
    RULE = "ruling"
    ESCALATE = "escalation"
    PAY = "compensation"


DISPUTE = {
    (DisputeState.RAISED, DisputeMove.ANSWER): DisputeState.ANSWERED,
    (DisputeState.RAISED, DisputeMove.RULE): DisputeState.RULED,
    (DisputeState.RAISED, DisputeMove.ESCALATE): DisputeState.ESCALATED,
    (DisputeState.ANSWERED, DisputeMove.RULE): DisputeState.RULED,
    (DisputeState.ANSWERED, DisputeMove.ESCALATE): DisputeState.ESCALATED,
    (DisputeState.RULED, DisputeMove.PAY): DisputeState.PAID,
    (DisputeState.RULED, DisputeMove.ESCALATE): DisputeState.ESCALATED,
    (DisputeState.PAID, DisputeMove.ESCALATE): DisputeState.ESCALATED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDispute:
    """One dispute as a node stores it, under the hash of its record; other records by their hashes, times in UTC ns.

    `level` counts from 0; `raised_ns` and `ruled_ns` are the latest times at which the records can have been signed.
    """

    sid: bytes = blob(1, 32)
    by: bytes = blob(2, 32)
    against: bytes = blob(3, 32)
    ground: str = text(4, 64)
    level: int = uint(5, high=8)
    state: int = uint(6, high=max(DisputeState))
    raised_ns: int = uint(7)
    answer: bytes | None = blob(8, 32, optional=True)
    ruling: bytes | None = blob(9, 32, optional=True)
    ruled_ns: int | None = uint(10, optional=True)
    escalates: bytes | None = blob(11, 32, optional=True)
    paid: bytes | None = blob(12, 32, optional=True)

    def stored(self) -> bytes:
        """Return the row as it is stored."""
        return encode(self, limit=STORED_LIMIT)


def open_dispute(raw: bytes) -> OpenDispute:
    """Decode a stored dispute. Raises StoredStateError."""
    return stored_as(OpenDispute, raw, STORE)


def judge_move(held: OpenDispute, move: DisputeMove) -> Refusal | None:
    """Return OUT_OF_ORDER where the table has no such move from the dispute's state; else None."""
    if (held.state, move) in DISPUTE:
        return None
    taken = [one.value for state, one in DISPUTE if state == held.state]
    wanted = f"one of {', '.join(taken)}" if taken else "nothing more: it goes on at the next level"
    measured = f"{move.value} in {DisputeState(held.state).name}"
    return refuse(Reason.OUT_OF_ORDER, "dispute.table", measured, wanted)


def moved(held: OpenDispute, move: DisputeMove, **changes: Any) -> OpenDispute:
    """Return the dispute after a move; unchanged where the table has no such move (a rule without terms for it)."""
    state = DISPUTE.get((DisputeState(held.state), move))
    return held if state is None else replace(held, state=state, **changes)


# -- when ----------------------------------------------------------------------------------------------------------


def judge_raising(terms: DisputeTerms, signed: Attestation, ends_ns: int) -> Refusal | None:
    """Refuse a dispute raised too late, counted from the end of the settlement's window."""
    limit_ns = ends_ns + terms.raise_ns
    if signed.latest_ns <= limit_ns:
        return None
    return refuse(Reason.TIMEOUT, "dispute.raise_by", f"signed at {signed.latest_ns} ns", f"<= {limit_ns} ns")


def judge_answering(terms: DisputeTerms, held: OpenDispute, signed: Attestation) -> Refusal | None:
    """Refuse an answer that is too late."""
    limit_ns = held.raised_ns + terms.answer_ns
    if signed.latest_ns <= limit_ns:
        return None
    return refuse(Reason.TIMEOUT, "answer.answer_by", f"signed at {signed.latest_ns} ns", f"<= {limit_ns} ns")


def judge_hearing(
    terms: DisputeTerms, held: OpenDispute, signed: Attestation, answer: bytes | None, *, unheard: bool = False
) -> Refusal | None:
    """Refuse a ruling that names another answer than the one on record, or comes too early without an answer.

    Args: unheard: the answer on record was not acknowledged by the other party yet; then a ruling may name none.
    """
    if answer != held.answer and not (unheard and answer is None):
        named = answer.hex()[:16] if answer is not None else "no answer"
        if held.answer is None:
            return refuse(Reason.PROOF, "ruling.unanswered", named, "none: there is no answer on record")
        return refuse(Reason.PROOF, "ruling.answer", named, held.answer.hex()[:16])
    limit_ns = held.raised_ns + terms.answer_ns
    if answer is None and signed.earliest_ns <= limit_ns:
        return refuse(Reason.NOT_YET, "ruling.answer_by", f"signed at {signed.earliest_ns} ns", f"> {limit_ns} ns")
    return None


def judge_escalating(terms: DisputeTerms, held: OpenDispute, signed: Attestation) -> Refusal | None:
    """Refuse an escalation: to no further level, too late after a ruling, or before a missing ruling is overdue."""
    if held.level + 1 >= len(terms.levels):
        return refuse(Reason.TERMS, "dispute.level", f"level {held.level + 2}", f"<= {len(terms.levels)} by the rule")
    if held.ruled_ns is not None:
        limit_ns = held.ruled_ns + terms.escalate_ns
        late = refuse(Reason.TIMEOUT, "dispute.escalate_by", f"signed at {signed.latest_ns} ns", f"<= {limit_ns} ns")
        return late if signed.latest_ns > limit_ns else None
    due_ns = held.raised_ns + terms.answer_ns + terms.rule_ns
    if signed.earliest_ns > due_ns:
        return None
    return refuse(
        Reason.NOT_YET, "dispute.rule_by", f"signed at {signed.earliest_ns} ns", f"> {due_ns} ns, or a ruling"
    )
