"""A wish filled by several holders: what the user proves of its earlier parts, and how the next holder judges them.

(1) each part is shown by its GRANT, ACCEPT and CONFIRM, and all three verify
(2) they belong to one settlement, whose user is the author of the REQUEST
(3) the GRANT states which part of which wish it is, and all parts before this one are shown
(4) all parts, this one included, lie inside the cell of the wish, and no two overlap
"""

from collections.abc import Callable

from settlement.chain.admission import Admitted
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.residual import FilledWish, judge_parts
from settlement.pair.work import Work
from settlement.records.decision import Confirm
from settlement.records.grant import Accept, Grant
from settlement.records.market import Request, ShownPart
from settlement.records.verdict import Verdict

CLAUSE = "fill.residual"


def judge_part(body: Request, line: tuple[bytes, ...], prove: Callable[[bytes], Admitted | Refusal]) -> Refusal | None:
    """Judge from a REQUEST alone whether it may be one of several parts of a wish.

    Args: line: credentials of the REQUEST's author, newest first. prove: verifies the signature of a record.
    """
    part = body.part
    if part is None:
        return None
    cells = [body.cell]
    for number, shown in enumerate(part.shown):
        grant = _granted(shown, number, line, prove)
        if isinstance(grant, Refusal):
            return grant
        if (grant.wish, grant.index) != (part.wish, number):
            measured = f"part {grant.index} of {grant.wish.hex() if grant.wish else 'no wish'}"
            return refuse(Reason.TERMS, f"fill.shown[{number}].wish", measured, f"part {number} of {part.wish.hex()}")
        cells.append(grant.cell)
    return judge_parts(part.whole, cells)


def _granted(
    shown: ShownPart, number: int, line: tuple[bytes, ...], prove: Callable[[bytes], Admitted | Refusal]
) -> Grant | Refusal:
    """Return the GRANT of a settled part, once all three of its records verify and belong together."""
    here = f"fill.shown[{number}]"
    proven = [prove(raw) for raw in (shown.grant, shown.accept, shown.confirm)]
    wrong = next((one for one in proven if isinstance(one, Refusal)), None)
    if wrong is not None:
        return refuse(wrong.reason, here, wrong.measured, wrong.required)
    grant, accept, confirm = [one.record for one in proven if isinstance(one, Admitted)]
    given, taken, decided = grant.body, accept.body, confirm.body
    if not (isinstance(given, Grant) and isinstance(taken, Accept) and isinstance(decided, Confirm)):
        return refuse(Reason.TYPE, here, f"{grant.typ}, {accept.typ}, {confirm.typ}", "grant, accept, confirm")
    whole = (
        taken.grant == grant.digest
        and decided.grant == grant.digest
        and decided.accept == accept.digest
        and confirm.frame.author == grant.frame.author
    )
    if not whole or given.user not in line or accept.frame.author not in line:
        return refuse(Reason.PROOF, here, given.sid.hex()[:16], "one settlement, of the user who asks")
    return given


def record_residual(work: Work, request: bytes, filled: FilledWish) -> None:
    """Record in the log how far a wish was filled, under the hash of the first REQUEST for it."""
    left = ", ".join(str(cell.band) for cell in filled.residual) or "nothing"
    measured, required = f"{filled.filled_hz_ns} Hz ns filled, left {left}"[:512], f"{filled.asked_hz_ns} Hz ns"
    said = Verdict(subject=request, reason=Reason.RESIDUAL.value, clause=CLAUSE, measured=measured, required=required)
    work.sign(said)
    work.event("residual", asked=filled.asked_hz_ns, filled=filled.filled_hz_ns, left=left)
