"""Which settlements of a holder overlap a REQUEST, and which of them its tier may displace. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.tiers import Displaceable, Displacement, judge_displacing, tier_of
from settlement.pair.holderpairs import HolderPair
from settlement.pair.table import HolderState
from settlement.records.authority import ClassTerms
from settlement.records.market import Request

SETTLED = (HolderState.CONFIRMED, HolderState.SUSPENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacing:
    """A settlement to be displaced: by when its radio must be silent (UTC, ns), and what its user is owed."""

    pair: HolderPair
    vacate_by_ns: int
    owed: int


def judge_in_the_way(
    pairs: Iterable[HolderPair], body: Request, terms: ClassTerms, now: TimeFix
) -> tuple[Displacing, ...] | Refusal:
    """Return the settlements that a REQUEST displaces, none where its cell is free; CONFLICT or TIER where it may not.

    Where the class lets several users share a cell, up to that many settlements coexist.
    """
    found: list[Displacing] = []
    beside = 0
    for pair in pairs:
        over = not pair.cell.window.overlaps(body.cell.window) or now.after(pair.busy_until_ns)
        if over or not pair.cell.overlaps(body.cell):
            continue
        if pair.commodity == body.commodity and beside + 1 < (terms.users or 1):
            beside += 1
            continue
        made = _making_room(pair, body, terms, now)
        if isinstance(made, Refusal):
            return made
        found.append(Displacing(pair=pair, vacate_by_ns=made.vacate_by_ns, owed=made.owed))
    return tuple(found)


def _making_room(pair: HolderPair, body: Request, terms: ClassTerms, now: TimeFix) -> Displacement | Refusal:
    if terms.tiers is None or pair.state not in SETTLED or body.tier >= pair.tier:
        return refuse(Reason.CONFLICT, "request.cell", f"{pair.cell.band} held by {pair.sid.hex()[:8]}", "free")
    held = Displaceable(
        tier=pair.tier,
        window=pair.cell.window,
        price=pair.price or 0,
        leased_until_ns=pair.transmit_until_ns or 0,
    )
    return judge_displacing(
        tier_of(terms.tiers, body.tier),
        body.tier,
        held,
        opens_ns=body.cell.window.start_ns,
        now_ns=now.latest_ns,
        emergency=bool(body.emergency),
    )
