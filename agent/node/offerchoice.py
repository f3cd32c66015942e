"""Chooses which offer a node takes, by the rule's order, and gives the reason for each offer in words."""

from collections.abc import Collection
from dataclasses import replace

from settlement.chain.scope import Cell
from settlement.chain.weights import FAILED, FULFILLED, Kept, trust_ppm
from settlement.core.fixes import PositionFix, distance_mm
from settlement.core.reasons import Refusal
from settlement.market.choice import Candidate, Considered, Match, SpectrumWish, match_offers
from settlement.market.prices import Pricing, price_of
from settlement.pair.user import Offer
from settlement.party.party import Party
from settlement.records.handingterms import TRANSFER
from settlement.state.reputation import reputation_in


def matched(
    party: Party,
    wish: SpectrumWish,
    here: PositionFix,
    *,
    without: Collection[bytes] = (),
    handed_only: bool = False,
) -> Match:
    """Choose among the offers heard, leaving out those in `without`, by the order of the wish's class in the rule.

    A wish that names no class is decided by the order of the rule's first class.
    An offer that hands a lease on to this node comes before any other; with `handed_only`, no other is considered.
    """
    rule, mine = party.rule.rule, [one for one in party.user.offers.values() if one.handed is not None]
    terms = rule.terms(wish.commodity) if wish.commodity is not None else rule.classes[0]
    by = terms.matching if terms is not None else None
    handed = match_offers(wish, [_candidate(party, o, wish, here) for o in mine if o.declaration not in without], by)
    if handed.winner is not None or handed_only:
        return handed  # a lease handed on is meant for this node, and its band is in use
    offers = [offer for offer in party.user.offers.values() if offer.declaration not in without]
    return match_offers(wish, [_candidate(party, offer, wish, here) for offer in offers], by)


def whole_of(offer: Offer, cell: Cell, eirp_mdbm: int) -> tuple[Cell, int]:
    """Return what a REQUEST asks for: the wanted cell and EIRP, or of a transfer all that is handed on."""
    if offer.handed != TRANSFER:
        return cell, eirp_mdbm
    offered = offer.body.cell
    return replace(offered, window=replace(offered.window, start_ns=cell.window.start_ns)), offer.body.max_eirp_mdbm


def pricing_of(party: Party, offer: Offer) -> Pricing:
    """Return the terms from which an offer's price follows."""
    terms = party.rule.rule.terms(offer.body.commodity)
    return Pricing.of(offer.body, terms.tariff if terms is not None else None)


def price_for(party: Party, offer: Offer, cell: Cell, eirp_mdbm: int) -> int | None:
    """Return the price that a REQUEST for a cell of an offer must name; None where it cannot be told."""
    price = price_of(pricing_of(party, offer), cell, eirp_mdbm)
    return None if isinstance(price, Refusal) else price


def _candidate(party: Party, offer: Offer, wish: SpectrumWish, here: PositionFix) -> Candidate:
    body = offer.body
    cell = Cell(band=wish.band, area=body.cell.area, window=wish.window)
    eirp_mdbm = body.max_eirp_mdbm if wish.eirp_mdbm is None else wish.eirp_mdbm
    signed, envelope = party.record_of(offer.declaration), body.envelope
    rests_on = party.record_of(envelope) if envelope is not None else None
    holder = party.registry.get(offer.holder)
    now_ns = party.lineage.newest_ns()
    return Candidate(
        declaration=offer.declaration,
        holder=holder.name if holder is not None else offer.holder.hex()[:16],
        cell=body.cell,
        commodity=body.commodity,
        tier_low=body.tier_low,
        tier_high=body.tier_high,
        max_eirp_mdbm=body.max_eirp_mdbm,
        price=price_for(party, offer, cell, eirp_mdbm),
        reputation_ppm=reputed(party, offer.holder, now_ns),
        signed_ns=signed.frame.attestation.earliest_ns if signed is not None else 0,
        distance_mm=distance_mm(here.lat_e7, here.lon_e7, *body.cell.area.anchor) if here.trusted else None,
        confidence_ppm=getattr(rests_on.body, "level_ppm", None) if rests_on is not None else None,
        bargains=body.price_form == "negotiated",
    )


def reputed(party: Party, who: bytes, now_ns: int) -> int:
    """Return a node's reputation in millionths: by the rule's terms, or else by its plain record of fulfilment."""
    line, terms = party.registry.line(who), party.rule.rule.reputation
    if terms is not None:
        return reputation_in(party.lineage, terms, line, now_ns)
    kept = Kept(
        fulfilled=sum(party.lineage.counted(FULFILLED + one.hex()) for one in line),
        failed=sum(party.lineage.counted(FAILED + one.hex()) for one in line),
    )
    return trust_ppm(kept)


def in_words(found: Match) -> str:
    """Return as text every offer that was passed over, and why."""
    passed = [f"the offer of {_named(one)}: {one.passed}" for one in found.considered if one.passed is not None]
    return "; ".join([f"{len(found.considered)} offers heard", *passed])


def explained(found: Match) -> list[dict[str, object]]:
    """Return one row per offer heard: what it is, and why it is taken or passed over."""
    return [
        {
            "taken": one.passed is None,
            "holder": one.candidate.holder,
            "declaration": one.candidate.declaration.hex(),
            "low_hz": one.candidate.cell.band.low_hz,
            "high_hz": one.candidate.cell.band.high_hz,
            "price": one.candidate.price,
            "distance_mm": one.candidate.distance_mm,
            "reputation_ppm": one.candidate.reputation_ppm,
            "confidence_ppm": one.candidate.confidence_ppm,
            "why": one.passed or "the first by the rule's order",
        }
        for one in found.considered
    ]


def _named(one: Considered) -> str:
    return f"{one.candidate.cell.band} by {one.candidate.holder}"
