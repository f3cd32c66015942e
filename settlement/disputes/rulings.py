"""The ruling that a case leads to, and whether a signed ruling equals it: rulings can be replayed. Pure."""

from dataclasses import replace

from settlement.chain.codec import cut
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.case import DisputeCase, parties
from settlement.disputes.grounds import DisputeFinding, find
from settlement.market.debts import amount_owed
from settlement.records.complaint import COMPENSATES, CORRECTS, DISMISSED, Ruling

REASON_BYTES = 256
DECIDED = ("outcome", "compensation", "pays", "to", "corrects", "strikes", "answer", "rule", "sid", "dispute")


def due_ruling(case: DisputeCase) -> Ruling | Refusal:
    """Return the ruling that an authority of the dispute's level has to make."""
    finding = find(case)
    if isinstance(finding, Refusal):
        return finding
    lower: Ruling | None = case.lower.body if case.lower is not None else None
    said = Ruling(
        dispute=case.dispute.digest,
        sid=case.body.sid,
        rule=case.settled.given.rule,
        outcome=DISMISSED,
        compensation=0,
        reason=cut(f"{finding.clause}: {finding.measured}; required: {finding.required}", REASON_BYTES),
        answer=case.answer.digest if case.answer is not None else None,
    )
    return _upheld(case, finding, said, lower) if finding.upheld else _dismissed(case, said, lower)


def _upheld(case: DisputeCase, finding: DisputeFinding, said: Ruling, lower: Ruling | None) -> Ruling:
    """Return the ruling of an upheld dispute: only what a lower level has not ordered yet is owed.

    The record of fulfilment is corrected once, over all levels.
    """
    accused = case.accused.hash
    held = lower is not None and lower.strikes is None and lower.corrects == accused
    before = lower.compensation if lower is not None and held else 0
    pay, corrects = max(0, _owed(case, finding) - before), None if held else accused
    if not pay and held:
        return replace(said, reason=cut(f"upheld; all that is owed was ordered below; {said.reason}", REASON_BYTES))
    if not pay:
        return replace(said, outcome=CORRECTS, corrects=corrects)
    return replace(said, outcome=COMPENSATES, compensation=pay, pays=accused, to=case.injured.hash, corrects=corrects)


def _dismissed(case: DisputeCase, said: Ruling, lower: Ruling | None) -> Ruling:
    """Return the ruling of a dismissed dispute: what a lower level ordered is struck, and its payment is paid back."""
    if lower is None or case.lower is None or lower.corrects is None or lower.strikes is not None:
        return said
    struck = replace(said, outcome=CORRECTS, corrects=lower.corrects, strikes=case.lower.digest)
    if not lower.compensation:
        return struck
    return replace(struck, outcome=COMPENSATES, pays=lower.to, to=lower.pays, compensation=lower.compensation)


def _owed(case: DisputeCase, finding: DisputeFinding) -> int:
    """Return what an upheld ground owes by its terms: never more than was claimed."""
    terms, given = case.terms, case.settled.given
    ground = terms.ground(case.body.grounds) if terms is not None else None
    if ground is None:
        return 0
    from_ns, window = finding.lost_from_ns, given.cell.window
    owed = amount_owed(ground.owed, ground.amount, price=given.price, window=window, from_ns=from_ns)
    return min(case.body.claim, max(owed, finding.unpaid))


def judge_jurisdiction(case: DisputeCase, author: Subject) -> Refusal | None:
    """Refuse an authority that is a party, whose scope lacks band, area or class, or that is of another level."""
    cell, scope, terms = case.settled.given.cell, author.scope, case.terms
    if author.hash in parties(case.settled):
        return refuse(Reason.SCOPE, "ruling.party", author.name, "an authority that is no party")
    if not scope.holds_band(cell.band) or not scope.area.holds(cell.area):
        return refuse(Reason.SCOPE, "ruling.scope", f"{cell.band}, {cell.area}", "inside its author's band and area")
    if case.settled.terms.name not in scope.classes:
        return refuse(Reason.SCOPE, "ruling.class", case.settled.terms.name, ", ".join(scope.classes))
    if terms is None or case.level >= len(terms.levels):
        return refuse(Reason.TERMS, "ruling.level", f"level {case.level + 1}", "a level that the rule names")
    if author.level != terms.levels[case.level]:
        required = f"{terms.levels[case.level]}, which rules at level {case.level + 1}"
        return refuse(Reason.SCOPE, "ruling.level", author.level, required)
    return None


def ruling_by(case: DisputeCase, author: Subject, earliest_ns: int) -> Ruling | Refusal:
    """Return the ruling that an authority may sign now, or why it may not; now is `earliest_ns` (UTC) or later.

    Without an answer, no ruling is made before the time to answer is over.
    """
    refusal = judge_jurisdiction(case, author)
    if refusal is not None:
        return refusal
    terms, raised_ns = case.terms, case.dispute.frame.attestation.latest_ns
    due_ns = raised_ns + (terms.answer_ns if terms is not None else 0)
    if case.answer is None and earliest_ns <= due_ns:
        return refuse(Reason.NOT_YET, "ruling.answer_by", f"at {earliest_ns} ns", f"> {due_ns} ns, or an answer")
    return due_ruling(case)


def judge_ruling(case: DisputeCase, ruling: Record, author: Subject) -> Refusal | None:
    """Refuse a signed ruling whose author may not rule, or that differs from the one that the case leads to.

    The text of its reason is not compared.
    """
    refusal = judge_jurisdiction(case, author)
    if refusal is not None:
        return refusal
    due = due_ruling(case)
    if isinstance(due, Refusal):
        return due
    for name in DECIDED:
        said, wanted = getattr(ruling.body, name), getattr(due, name)
        if said != wanted:
            return refuse(Reason.TERMS, f"ruling.replay.{name}", _shown(said), _shown(wanted))
    return None


def _shown(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)
