"""The price of a cell by each form of price, and which price a REQUEST may name. Pure.

fixed        the offer's price
negotiated   the offer's price, or another inside the class's bounds that both sides put down in COUNTERs
dynamic      the offer's curve at the beginning of the window
parametric   the rule's tariff: a function of bandwidth, time, EIRP and the hour
discovered   the offer's price, which is the median of settlements that the holder shows
auction      the price that the members certified for the winner; the offer's price is the reserve, the least price

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
        """Return the inputs of an offer's price; `tariff` is the class's in the rule."""
        return cls(
            form=offer.price_form,
            price=offer.price,
            begins_ns=offer.cell.window.start_ns,
            curve=offer.curve or (),
            tariff=tariff,
        )


def price_of(by: Pricing, cell: Cell, eirp_mdbm: int) -> int | Refusal:
    """Return the price of a cell at an EIRP; a negotiated form gives the first price, an auction the reserve."""
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
    """Return the price of the last point at or before `after_ns`; PRICE where there is none."""
    passed = [point for point in curve if point.after_ns <= after_ns]
    if not passed:
        return refuse(Reason.PRICE, "price.curve", f"{len(curve)} points, none by {after_ns} ns", "a point by then")
    return max(passed, key=lambda point: point.after_ns).price


def tariff_price(tariff: Tariff, cell: Cell, eirp_mdbm: int) -> int:
    """Return the price by the rule's tariff, in exact integers, rounded up once at the end.

    The hour is that of the beginning of the window, UTC.
    """
    hz_ns = (cell.band.high_hz - cell.band.low_hz) * (cell.window.end_ns - cell.window.start_ns)
    scaled = tariff.base * MHZ_S + tariff.per_mhz_s * hz_ns
    above_mdb = max(0, eirp_mdbm - tariff.free_eirp_mdbm) if tariff.free_eirp_mdbm is not None else 0
    scaled *= PPM * 1000 + (tariff.per_db_ppm or 0) * above_mdb
    hour = datetime.fromtimestamp(cell.window.start_ns // NS, UTC).hour
    scaled *= tariff.hour_ppm[hour] if tariff.hour_ppm is not None else PPM
    return -(-scaled // (MHZ_S * PPM * 1000 * PPM))


def discovered_price(shown: Sequence[int], *, least: int = DISCOVERED_MIN) -> int | Refusal:
    """Return the median of settlements' prices, the higher of two middle ones; PRICE below `least` of them."""
    if len(shown) < least:
        return refuse(Reason.PRICE, "price.discovered", f"{len(shown)} settlements shown", f">= {least}")
    return median_high(shown)


def occupancy_price(price: int, price_high: int, occupied_ppm: int) -> int:
    """Return a price linear in the measured occupancy (ppm): the holder's own at 0, the class's highest at 1."""
    return price + (price_high - price) * min(max(occupied_ppm, 0), PPM) // PPM if price < price_high else price


def judge_price(by: Pricing, cell: Cell, eirp_mdbm: int, named: int) -> Refusal | None:
    """Refuse a REQUEST that names another price than the offer's form gives for the cell.

    A negotiated form allows any price: one that is too low is answered by a COUNTER. An auction allows any price from
    the reserve up: the holder compares it with the auction's outcome.
    """
    due = price_of(by, cell, eirp_mdbm)
    if isinstance(due, Refusal):
        return due
    if by.form == "negotiated" or named == due or (by.form == "auction" and named >= due):
        return None
    return refuse(Reason.PRICE, "request.price", named, due)
