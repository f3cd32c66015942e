"""The fallback to which a GRANT binds its holder: whether a substitute is as promised, and what is owed. Pure."""

from dataclasses import dataclass

from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.debts import amount_owed
from settlement.market.prices import Pricing, price_of
from settlement.records.authority import ClassTerms
from settlement.records.complaint import Fallback
from settlement.records.complaintterms import POOL, SAME_HOLDER, FallbackTerms
from settlement.records.market import Declaration
from settlement.records.marketterms import Tariff


def fallback_terms(terms: ClassTerms, number: int | None) -> FallbackTerms | None:
    """Return the entry of a class's catalogue with that number; None if there is none."""
    return next((one for one in terms.fallbacks or () if one.number == number), None)


def judge_chosen(terms: ClassTerms, number: int | None) -> Refusal | None:
    """Refuse the fallback that a REQUEST or a GRANT names if its class's catalogue has none of that number."""
    if number is None or fallback_terms(terms, number) is not None:
        return None
    known = ", ".join(str(one.number) for one in terms.fallbacks or ()) or "none: the class has no catalogue"
    return refuse(Reason.TERMS, "terms.fallback", number, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitute:
    """A substitute as it is offered: by which holder, under which offer, and the latest time of signing (UTC, ns).

    `commodity` and `price` are those of the settlement that is moved; `eirp_mdbm` is the most EIRP that the user
    requests at the substitute; `tariff` is the class's.
    """

    body: Fallback
    signed_ns: int
    holder: str
    offer: Declaration | None = None
    offerer: str | None = None
    commodity: str | None = None
    price: int | None = None
    eirp_mdbm: int = 0
    tariff: Tariff | None = None


def judge_substitute(by: FallbackTerms, first: Cell, one: Substitute) -> Refusal | None:
    """Refuse a FALLBACK that does not keep its terms.

    The notice is kept; the substitute is as wide as the first cell, holds its area and lasts to its end at least, costs
    no more, lies in the named offer, and is offered by a holder that the scope allows.
    """
    body, wide = one.body, first.band.high_hz - first.band.low_hz
    if body.choice != by.number:
        return refuse(Reason.TERMS, "fallback.choice", body.choice, by.number)
    if body.from_ns < one.signed_ns + by.notice_ns:
        left_ns = body.from_ns - one.signed_ns
        return refuse(Reason.TERMS, "fallback.notice", f"{left_ns} ns ahead", f">= {by.notice_ns} ns")
    window = body.cell.window
    if not (window.start_ns == body.from_ns < first.window.end_ns and window.end_ns >= first.window.end_ns):
        required = f"{body.from_ns} to {first.window.end_ns} ns or later"
        return refuse(Reason.TERMS, "fallback.window", f"{window.start_ns} to {window.end_ns} ns", required)
    if body.cell.band.high_hz - body.cell.band.low_hz < wide:
        measured = f"{body.cell.band.high_hz - body.cell.band.low_hz} Hz"
        return refuse(Reason.TERMS, "fallback.band", measured, f">= {wide} Hz")
    if not body.cell.area.holds(first.area):
        return refuse(Reason.TERMS, "fallback.area", body.cell.area, f"all of {first.area}")
    if one.offer is not None and not _offered(one.offer, body.cell):
        return refuse(Reason.TERMS, "fallback.declaration", body.cell.band, "inside the offer that it names")
    return _other_or_dearer(one) or _by_whom(by, one)


def _other_or_dearer(one: Substitute) -> Refusal | None:
    """Refuse a substitute of another class or at a higher price: the user's node requests it by itself."""
    offer = one.offer
    if offer is None or one.commodity is None or one.price is None:
        return None
    if offer.commodity != one.commodity:
        return refuse(Reason.TERMS, "fallback.class", offer.commodity, one.commodity)
    price = price_of(Pricing.of(offer, one.tariff), one.body.cell, min(one.eirp_mdbm, offer.max_eirp_mdbm))
    if isinstance(price, Refusal):
        return price
    return None if price <= one.price else refuse(Reason.PRICE, "fallback.price", price, f"<= {one.price}, as before")


def _offered(offer: Declaration, cell: Cell) -> bool:
    return (
        offer.cell.band.holds(cell.band) and offer.cell.window.holds(cell.window) and offer.cell.area.holds(cell.area)
    )


def _by_whom(by: FallbackTerms, one: Substitute) -> Refusal | None:
    if by.scope == SAME_HOLDER and one.offerer not in (None, one.holder):
        return refuse(Reason.TERMS, "fallback.scope", one.offerer, f"{one.holder}, the same holder")
    if by.scope == POOL and one.offerer is not None and one.offerer not in (by.pool or ()):
        return refuse(Reason.TERMS, "fallback.scope", one.offerer, f"one of {', '.join(by.pool or ())}")
    return None


def owed_for_move(by: FallbackTerms, price: int, first: Cell, from_ns: int) -> int:
    """Return what the user is owed for a move at `from_ns` (UTC), in the unit of the price."""
    return amount_owed(by.owed, by.amount, price=price, window=first.window, from_ns=from_ns)
