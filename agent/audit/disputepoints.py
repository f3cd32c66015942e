"""Tables of promises from signed records: settlements moved, broken, disputed, ruled on, paid."""

from collections.abc import Callable, Container
from typing import Any

from settlement.chain.records import Record
from settlement.disputes.incumbentproof import claims_incumbent, judge_incumbent, judge_stronger
from settlement.records.complaint import Dispute, DisputeAnswer, Fallback, Ruling
from settlement.records.decision import Confirm
from settlement.records.endings import Compensation, Preempt
from settlement.records.grant import Grant
from settlement.records.verdict import Verdict
from settlement.state.handovers import OVER

Named = Callable[[bytes], str]


def moved_points(name: Named, found: list[Record]) -> list[dict[str, Any]]:
    """Return one row for each FALLBACK: holder, settlement, target, amount owed, whether the substitute was settled."""
    confirmed = {r.body.grant for r in found if isinstance(r.body, Confirm)}
    grants = {r.body.replaces: r for r in found if isinstance(r.body, Grant) and r.digest in confirmed}
    return [
        {
            "sid": r.body.sid.hex(),
            "holder": name(r.frame.author or b""),
            "number": r.body.choice,
            "low_hz": r.body.cell.band.low_hz,
            "high_hz": r.body.cell.band.high_hz,
            "owed": r.body.owed or 0,
            "substitute": grants[r.digest].body.sid.hex() if r.digest in grants else None,
        }
        for r in found
        if isinstance(r.body, Fallback)
    ]


def broken_points(name: Named, found: list[Record], owners: Container[bytes] = ()) -> list[dict[str, Any]]:
    """Return one row for each settlement that its holder ended without proof of an incumbent or a stronger user.

    A row says why the proof is missing, and to which fallback the holder was bound.

    An end for an incumbent is proven by the envelope that the PREEMPT names, one for a stronger user by that user's
    REQUEST; a lease that was handed on ends with the lease it came from.

    Args: owners: credentials whose whole logs are in `found`: a REQUEST in none of these logs does not exist.
    """
    grants = {r.body.sid: r for r in found if isinstance(r.body, Grant)}
    by_name = {r.digest: r for r in found}
    rows = []
    for ended in (r for r in found if isinstance(r.body, Preempt)):
        grant = grants.get(ended.body.sid)
        if grant is not None and grant.body.handover is not None and ended.body.reason == OVER:
            continue
        shown = by_name.get(ended.body.by or ended.body.evidence or b"")
        whole = ended.frame.author in owners
        why = _why_not_stronger(ended, shown, grant, whole) if ended.body.by else _why_broken(ended, shown, grant)
        if why is not None:
            bound = grant.body.fallback if grant is not None else None
            who = name(ended.frame.author or b"")
            rows.append({"sid": ended.body.sid.hex(), "holder": who, "fallback": bound, "why": why})
    return rows


def _why_broken(ended: Record, evidence: Record | None, grant: Record | None) -> str | None:
    """Return why no incumbent is proven as the cause of an end; None where one is, or without the GRANT at hand."""
    if not claims_incumbent(ended.body):
        return f"its holder says {ended.body.reason}"
    if grant is None:
        return None
    refusal = judge_incumbent(ended, evidence, grant.body.cell)
    return None if refusal is None else f"no incumbent is shown: {refusal.measured}"


def _why_not_stronger(ended: Record, request: Record | None, grant: Record | None, whole: bool) -> str | None:
    """Return why no stronger REQUEST is proven; None where one is, or the GRANT or holder's log is missing."""
    if grant is None:
        return None
    if request is not None:
        refusal = judge_stronger(ended, request, grant.body)
        return None if refusal is None else f"nobody stronger is shown: {refusal.measured}"
    return f"nobody stronger is shown: {ended.body.by.hex()[:16]} is in no log" if whole else None


def dispute_points(name: Named, found: list[Record]) -> list[dict[str, Any]]:
    """Return one row for each dispute: answer, ruling, amounts owed and paid, and whether the payee confirmed it."""
    answers = {r.body.dispute: r for r in found if isinstance(r.body, DisputeAnswer)}
    rulings = {r.body.dispute: r for r in found if isinstance(r.body, Ruling)}
    return [
        {
            "dispute": r.digest.hex(),
            "sid": r.body.sid.hex(),
            "ground": r.body.grounds,
            "by": name(r.frame.author or b""),
            "against": name(r.body.against),
            "claim": r.body.claim,
            "cited": len(r.body.evidence),
            "escalates": r.body.escalates.hex() if r.body.escalates is not None else None,
            "answer": answers[r.digest].body.stance if r.digest in answers else None,
            "ruling": _ruling(name, rulings[r.digest], found) if r.digest in rulings else None,
        }
        for r in found
        if isinstance(r.body, Dispute)
    ]


def _ruling(name: Named, ruling: Record, found: list[Record]) -> dict[str, Any]:
    body = ruling.body
    heard = {r.body.subject for r in found if isinstance(r.body, Verdict) and r.body.clause == "compensation.received"}
    paid = [r for r in found if isinstance(r.body, Compensation) and r.body.ruling == ruling.digest]
    return {
        "by": name(ruling.frame.author or b""),
        "outcome": body.outcome,
        "why": body.reason,
        "owed": body.compensation,
        "pays": name(body.pays) if body.pays is not None else None,
        "to": name(body.to) if body.to is not None else None,
        "paid": sum(r.body.amount for r in paid),
        "settled": sum(r.body.amount for r in paid if r.digest in heard),
        "corrects": name(body.corrects) if body.corrects is not None else None,
    }
