"""Price fields of an offer in the form its holder chose: from the rule, or from this node's own log."""

from typing import Any

from agent.config.settings import OfferSection
from settlement.core.reasons import Refusal
from settlement.market.prices import discovered_price
from settlement.pair.bounds import OwnFaultError
from settlement.party.party import Party
from settlement.records.grant import Grant
from settlement.records.marketterms import PricePoint

NS = 1_000_000_000
SHOWN_MAX = 64


def priced(party: Party, offer: OfferSection) -> dict[str, Any]:
    """Return the fields of a declaration that state its price. Raises OwnFaultError where it has none."""
    terms = party.rule.rule.terms(offer.commodity)
    currency = terms.currency if terms is not None else None
    fields: dict[str, Any] = {"price_form": offer.price_form, "price": offer.price, "currency": currency}
    match offer.price_form:
        case "dynamic":
            curve = tuple(PricePoint(after_ns=round(after_s * NS), price=price) for after_s, price in offer.curve)
            return {**fields, "curve": curve or None}
        case "discovered":
            return {**fields, **_discovered(party, offer.commodity)}
        case "parametric" if terms is None or terms.tariff is None:
            raise OwnFaultError(f"the rule has no tariff for {offer.commodity}; offer another form of price")
        case _:
            return fields


def _discovered(party: Party, commodity: str) -> dict[str, Any]:
    """Return the median price of the last SHOWN_MAX settlements with this node in a class, and their GRANTs.

    Raises OwnFaultError where no median can be made of them.
    """
    pairs = [pair for pair in party.holder.pairs.values() if pair.decision is not None and pair.commodity == commodity]
    granted = [party.record_of(pair.grant) for pair in pairs[-SHOWN_MAX:]]
    shown = [record for record in granted if record is not None and isinstance(record.body, Grant)]
    price = discovered_price([record.body.price for record in shown])
    if isinstance(price, Refusal):
        raise OwnFaultError(str(price))
    return {"price": price, "shown": tuple(record.digest for record in shown)}
