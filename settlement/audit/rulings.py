"""Judges every ruling of one log again from the records it rests on: the result must equal the signed ruling.

The states of each dispute are replayed too, by the same table: a second ruling, or one without the answer on record, is
a finding. Only records in the log count.
"""

from collections.abc import Callable, Iterable
from typing import Any

from settlement.audit.findings import Findings
from settlement.chain.admission import Admitted, RuleInForce, prove
from settlement.chain.credentials import Registry
from settlement.chain.leaf import OWN, Leaf, decode_leaf
from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.case import Sources, gather
from settlement.disputes.rulings import judge_ruling
from settlement.disputes.table import DisputeMove, DisputeState, OpenDispute, judge_hearing, judge_move, moved
from settlement.records.complaint import Dispute, DisputeAnswer, Ruling
from settlement.records.decision import Confirm
from settlement.records.registry import TYPE_OF
from settlement.records.verdict import Verdict

Entries = Callable[[], Iterable[bytes]]
COURSE = (Dispute, DisputeAnswer, Ruling)
PASSES_MAX = 4
"""How many times the log is searched for records that others name: a ruling names a dispute, that a CONFIRM, and so on.
"""


def replay_rulings(entries: Entries, registry: Registry, rules: Iterable[RuleInForce], findings: Findings) -> int:
    """Judge every admitted ruling again; return how many. One that differs from its recomputed ruling is a finding."""
    course = list(_course(entries(), registry))
    held = _named(entries, registry, [found for _, found, _ in course])
    by_hash = {one.hash: one.rule for one in rules}
    told = _Told(held, Sources(record=held.get, subject=registry.get, rule=by_hash.get, line=registry.line))
    count = 0
    for index, record, own in course:
        if isinstance(record.body, Ruling):
            count += 1
        refusal = told.take(record, own=own)
        if refusal is not None:
            findings.add(f"entry {index}: admitted, but {refusal}")
    return count


def _leaves(bodies: Iterable[bytes]) -> Iterable[tuple[int, Leaf]]:
    for index, body in enumerate(bodies):
        leaf = decode_leaf(body)
        if isinstance(leaf, Leaf) and leaf.record is not None:
            yield index, leaf


def _proven(leaf: Leaf, registry: Registry) -> Record | None:
    known = prove(leaf.record, registry) if leaf.record is not None else None
    return known.record if isinstance(known, Admitted) else None


def _course(bodies: Iterable[bytes], registry: Registry) -> Iterable[tuple[int, Record, bool]]:
    """Yield admitted disputes, answers, receipts of answers and rulings, in order, as (index, record, owner's own)."""
    answers: set[bytes] = set()
    for index, leaf in _leaves(bodies):
        if leaf.admitted and leaf.record is not None and any(mark in leaf.record for mark in _MARKS):
            record = _proven(leaf, registry)
            if record is not None and isinstance(record.body, COURSE):
                answers |= {record.digest} if isinstance(record.body, DisputeAnswer) else set()
                yield index, record, leaf.origin == OWN
        elif leaf.admitted and leaf.record is not None and answers and _VERDICT in leaf.record:
            record = _proven(leaf, registry)
            if record is not None and record.body.subject in answers and record.body.reason == Reason.RECEIVED.value:
                yield index, record, leaf.origin == OWN


_MARKS = tuple(f"bandpact/{TYPE_OF[one]}".encode() for one in COURSE)
_VERDICT = f"bandpact/{TYPE_OF[Verdict]}".encode()
"""The record type as a header names it: most entries can be skipped without verifying them."""


def _named(entries: Entries, registry: Registry, course: list[Record]) -> dict[bytes, Record]:
    """Return all records in the log that the records of disputes name, directly or not, admitted or refused."""
    found = {one.digest: one for one in course}
    for _ in range(PASSES_MAX):
        lacking = {name for one in found.values() for name in _names_in(one.body)} - set(found)
        if not lacking:
            break
        come = [_proven(leaf, registry) for _, leaf in _leaves(entries()) if leaf.subject in lacking]
        if not come:
            break
        found.update({one.digest: one for one in come if one is not None})
    return found


def _names_in(body: Any) -> tuple[bytes, ...]:
    match body:
        case Dispute(confirm=confirm, evidence=evidence):
            return confirm, *evidence
        case DisputeAnswer(evidence=evidence):
            return tuple(evidence)
        case Confirm(grant=grant, accept=accept):
            return grant, accept
        case _:
            return ()


class _Told:
    """The disputes of one log, as its records change them."""

    def __init__(self, held: dict[bytes, Record], sources: Sources) -> None:
        self._held, self._sources = held, sources
        self._open: dict[bytes, OpenDispute] = {}
        self._unheard: set[bytes] = set()

    def take(self, record: Record, *, own: bool) -> Refusal | None:
        """Apply one more record of a dispute; return why it should not have been admitted, or None."""
        match record.body:
            case Dispute():
                self._raised(record)
                return None
            case DisputeAnswer(dispute=name):
                held = self._open.get(name)
                if held is not None:
                    self._open[name] = moved(held, DisputeMove.ANSWER, answer=record.digest)
                    self._unheard |= {record.digest} if own else set()
                return None
            case Verdict(subject=subject):
                self._unheard.discard(subject)
                return None
            case _:
                return self._ruled(record)

    def _raised(self, record: Record) -> None:
        body: Dispute = record.body
        lower = self._open.get(body.escalates) if body.escalates is not None else None
        if lower is not None and body.escalates is not None:
            self._open[body.escalates] = moved(lower, DisputeMove.ESCALATE)
        self._open[record.digest] = OpenDispute(
            sid=body.sid,
            by=record.frame.author or b"",
            against=body.against,
            ground=body.grounds,
            level=lower.level + 1 if lower is not None else 0,
            state=DisputeState.RAISED,
            raised_ns=record.frame.attestation.latest_ns,
            escalates=body.escalates,
        )

    def _ruled(self, record: Record) -> Refusal | None:
        body: Ruling = record.body
        held, disputed = self._open.get(body.dispute), self._held.get(body.dispute)
        author = self._sources.subject(record.frame.author or b"")
        if held is None or disputed is None or author is None:
            return refuse(Reason.UNKNOWN_SID, "ruling.dispute", body.dispute.hex()[:16], "on record")
        case = gather(disputed, body.answer, self._sources, self._ruling_on)
        if isinstance(case, Refusal):
            return case
        if case.terms is None:
            return None
        refusal = (
            judge_move(held, DisputeMove.RULE)
            or judge_hearing(
                case.terms, held, record.frame.attestation, body.answer, unheard=held.answer in self._unheard
            )
            or judge_ruling(case, record, author)
        )
        ruled_ns = record.frame.attestation.latest_ns
        self._open[body.dispute] = moved(
            held, DisputeMove.RULE, ruling=record.digest, ruled_ns=ruled_ns, answer=body.answer
        )
        return refusal

    def _ruling_on(self, name: bytes) -> bytes | None:
        held = self._open.get(name)
        return held.ruling if held is not None else None
