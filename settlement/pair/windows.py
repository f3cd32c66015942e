"""Time and place checks of a settlement, beyond the checks that admission makes of every record. Pure.

What is not surely inside is refused, with what was measured and what was required.
"""

from settlement.chain.admission import author_inside
from settlement.chain.bodies import ClassTerms
from settlement.chain.records import Record
from settlement.chain.scope import Area, Cell
from settlement.core.fixes import PositionFix
from settlement.core.reasons import Reason, Refusal, refuse


def accepted_from(accept: Record, cell: Cell) -> Refusal | None:
    """Refuse an ACCEPT signed outside the cell's area: a user may have moved since its REQUEST."""
    return author_inside(accept.frame.attestation, cell.area, "accept.place")


def still_here(position: PositionFix, area: Area) -> Refusal | None:
    """Refuse a grant whose area this user's own position is not surely inside; checked before it accepts."""
    return area.place(position, "grant.place")


def not_too_far(cell: Cell, earliest_ns: int, terms: ClassTerms) -> Refusal | None:
    """Refuse a window that may start further ahead than the class allows; `earliest_ns`: the earliest now."""
    if terms.max_ahead_ns is None:
        return None
    ahead_ns = cell.window.start_ns - earliest_ns
    if ahead_ns > terms.max_ahead_ns:
        return refuse(Reason.TERMS, "request.ahead", f"starts in {ahead_ns} ns", f"<= {terms.max_ahead_ns} ns")
    return None
