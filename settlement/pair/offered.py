"""Whether a REQUEST stays inside the offer that it names, and at the offer's price. Pure."""

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.prices import Pricing, judge_price
from settlement.records.authority import ClassTerms
from settlement.records.market import Declaration, Request


def inside_offer(body: Request, offer: Declaration, terms: ClassTerms) -> Refusal | None:
    """Return the first axis, or price, on which a REQUEST deviates from its offer; None where there is none."""
    cell, offered = body.cell, offer.cell
    checks = (
        ("band", offered.band.holds(cell.band), cell.band, offered.band),
        ("window", offered.window.holds(cell.window), cell.window, offered.window),
        ("area", offered.area.holds(cell.area), cell.area, offered.area),
        ("tier", offer.tier_low <= body.tier <= offer.tier_high, body.tier, f"{offer.tier_low}-{offer.tier_high}"),
        ("eirp", body.eirp_mdbm <= offer.max_eirp_mdbm, body.eirp_mdbm, offer.max_eirp_mdbm),
    )
    for axis, held, measured, required in checks:
        if not held:
            return refuse(Reason.TERMS, f"request.{axis}", measured, required)
    return judge_price(Pricing.of(offer, terms.tariff), cell, body.eirp_mdbm, body.price)
