"""The price of a cell by each form of price, and which price a REQUEST may name. Pure.

fixed        the offer's price
negotiated   the offer's price, or another inside the class's bounds that both sides put down in COUNTERs
dynamic      the offer's curve at the beginning of the window
parametric   the rule's tariff: a function of bandwidth, time, EIRP and the hour
discovered   the offer's price, which is the median of settlements that the holder shows
auction      what its members certified that the winner pays; the offer's price is the reserve, the least that it can be

Prices are whole millionths of the class's currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median_high
from typing import Final

from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.market import Declaration
from settlement.records.marketterms import FORMS, PricePoint, Tariff
from settlement.records.sizes import PPM

NS: Final = 1_000_000_000
MHZ_S: Final = 1_000_000 * NS
DISCOVERED_MIN: Final = 3
"""Fewest settlements from which a price may be derived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """The inputs of a price: the form, the offer's price and curve, and the rule's tariff."""

    form: str
    price: int
    begins_ns: int
    curve: tuple[PricePoint, ...] = ()
    tariff: Tariff | None = None

    @classmethod
    def of(cls, offer: Declaration, tariff: Tariff | None) -> "Pricing":
        """What the price of an offer follows from; `tariff` is its class's."""
        return cls(
            form=offer.price_form,
            price=offer.price,
            begins_ns=offer.cell.window.start_ns,
            curve=offer.curve or (),
            tariff=tariff,
        )


def price_of(by: Pricing, cell: Cell, eirp_mdbm: int) -> int | Refusal:
    """What a cell costs at an EIRP: of a negotiated price what is asked at first, of an auction the reserve."""
    match by.form:
        case "fixed" | "negotiated" | "discovered" | "auction":
            return by.price
        case "dynamic":
            return curve_price(by.curve, cell.window.start_ns - by.begins_ns)
        case "parametric":
            if by.tariff is None:
                return refuse(Reason.PRICE, "price.tariff", "absent", "a tariff in the rule")
            return tariff_price(by.tariff, cell, eirp_mdbm)
        case _:
            return refuse(Reason.PRICE, "price.form", by.form, ", ".join(FORMS))


def curve_price(curve: Sequence[PricePoint], after_ns: int) -> int | Refusal:
    """The price of the last point that is not later."""
    passed = [point for point in curve if point.after_ns <= after_ns]
    if not passed:
        return refuse(Reason.PRICE, "price.curve", f"{len(curve)} points, none by {after_ns} ns", "a point by then")
    return max(passed, key=lambda point: point.after_ns).price


def tariff_price(tariff: Tariff, cell: Cell, eirp_mdbm: int) -> int:
    """The rule's function, rounded up at the end alone; the hour is that of the beginning of the window, UTC."""
    hz_ns = (cell.band.high_hz - cell.band.low_hz) * (cell.window.end_ns - cell.window.start_ns)
    scaled = tariff.base * MHZ_S + tariff.per_mhz_s * hz_ns
    above_mdb = max(0, eirp_mdbm - tariff.free_eirp_mdbm) if tariff.free_eirp_mdbm is not None else 0
    scaled *= PPM * 1000 + (tariff.per_db_ppm or 0) * above_mdb
    hour = datetime.fromtimestamp(cell.window.start_ns // NS, UTC).hour
    scaled *= tariff.hour_ppm[hour] if tariff.hour_ppm is not None else PPM
    return -(-scaled // (MHZ_S * PPM * 1000 * PPM))


def discovered_price(shown: Sequence[int], *, least: int = DISCOVERED_MIN) -> int | Refusal:
    """The median of what settlements cost, the higher of the two middle ones; too few say nothing."""
    if len(shown) < least:
        return refuse(Reason.PRICE, "price.discovered", f"{len(shown)} settlements shown", f">= {least}")
    return median_high(shown)


def occupancy_price(price: int, price_high: int, occupied_ppm: int) -> int:
    """A price that follows measured occupancy: the holder's own at none, the class's highest where all is taken."""
    return price + (price_high - price) * min(max(occupied_ppm, 0), PPM) // PPM if price < price_high else price


def judge_price(by: Pricing, cell: Cell, eirp_mdbm: int, named: int) -> Refusal | None:
    """May a REQUEST name this price?

    A negotiated one may be lower than what is asked, and is answered by a COUNTER; what an auction came to is at least
    its reserve, and is asked of its outcome by the holder.
    """
    due = price_of(by, cell, eirp_mdbm)
    if isinstance(due, Refusal):
        return due
    if by.form == "negotiated" or named == due or (by.form == "auction" and named >= due):
        return None
    return refuse(Reason.PRICE, "request.price", named, due)
