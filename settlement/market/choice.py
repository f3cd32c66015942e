"""Which of the offers heard a user takes: filters, then a ranking by the rule's criteria, with reasons. Pure.

From the same offers, rule and wish every node gets the same winner. An unknown value of an offer (its distance, its
confidence) ranks below every known one, and does not pass a filter on that value.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.scope import Band, Cell, Window
from settlement.records.marketterms import MatchingTerms

USUAL = MatchingTerms(order=("price", "earliest"))
"""The ranking where the rule has none: the lowest price, then the earliest signing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumWish:
    """What a user looks for. `partial`: an offer of a part of the band is enough."""

    band: Band
    window: Window
    tier: int
    eirp_mdbm: int | None = None
    price_max: int | None = None
    commodity: str | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The values of an offer that matching uses.

    `price` is what the wish costs under the offer, or the holder's first price where it `bargains`; None if it has
    none.
    """

    declaration: bytes
    holder: str
    cell: Cell
    commodity: str
    tier_low: int
    tier_high: int
    max_eirp_mdbm: int
    price: int | None
    reputation_ppm: int
    signed_ns: int
    distance_mm: int | None = None
    confidence_ppm: int | None = None
    bargains: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One offer, and why it was not taken; `passed` is None for the one that is taken."""

    candidate: Candidate
    passed: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The offer that is taken, if any, and every offer seen: fitting ones from the best down, then the unfit."""

    winner: Candidate | None
    considered: tuple[Considered, ...]


def match_offers(wish: SpectrumWish, candidates: Iterable[Candidate], terms: MatchingTerms | None = None) -> Match:
    """Choose among offers, with the reason for each that is not taken.

    Args: wish: what is looked for. candidates: every offer heard. terms: filters and order of the class, from the rule.
    """
    by = terms or USUAL
    judged = [(one, unfit(wish, one, by)) for one in candidates]
    fit = sorted((one for one, why in judged if why is None), key=lambda one: (_rank(one, by), one.declaration))
    winner = fit[0] if fit else None
    ranked = [Considered(candidate=one, passed=_behind(winner, one, by) if winner else None) for one in fit]
    rest = sorted(((one, why) for one, why in judged if why is not None), key=lambda pair: pair[0].declaration)
    return Match(winner=winner, considered=(*ranked, *(Considered(candidate=one, passed=why) for one, why in rest)))


def unfit(wish: SpectrumWish, one: Candidate, terms: MatchingTerms) -> str | None:
    """Return why an offer does not fit a wish, by the wish itself or by the rule's filters; None if it fits."""
    offered, loudest = one.cell, f"it allows at most {one.max_eirp_mdbm / 1000:g} dBm"
    held = offered.band.overlaps(wish.band) if wish.partial else offered.band.holds(wish.band)
    checks = (
        (wish.commodity is None or one.commodity == wish.commodity, f"it is of class {one.commodity}"),
        (held, f"it does not hold {'any of ' if wish.partial else ''}{wish.band}"),
        (offered.window.holds(wish.window), "it ends too soon or begins too late"),
        (wish.tier <= one.tier_high, f"it is for tiers {one.tier_low}-{one.tier_high}"),
        (wish.eirp_mdbm is None or wish.eirp_mdbm <= one.max_eirp_mdbm, loudest),
        (one.price is not None, "its price cannot be told"),
        (wish.price_max is None or one.bargains or (one.price or 0) <= wish.price_max, f"it costs {one.price}"),
        *_filters(one, terms),
    )
    return next((why for fits, why in checks if not fits), None)


def _filters(one: Candidate, terms: MatchingTerms) -> Iterable[tuple[bool, str]]:
    """Yield for each filter of the rule whether the offer passes, and the reason if not."""
    if terms.distance_mm_max is not None:
        near = one.distance_mm is not None and one.distance_mm <= terms.distance_mm_max
        yield near, f"{_said(one.distance_mm, 'mm away')}; the rule asks for {terms.distance_mm_max} mm at most"
    if terms.reputation_ppm_min is not None:
        kept = one.reputation_ppm >= terms.reputation_ppm_min
        yield kept, f"{one.reputation_ppm} ppm of reputation; the rule asks for {terms.reputation_ppm_min}"
    if terms.confidence_ppm_min is not None:
        sure = one.confidence_ppm is not None and one.confidence_ppm >= terms.confidence_ppm_min
        yield sure, f"{_said(one.confidence_ppm, 'ppm of confidence')}; the rule asks for {terms.confidence_ppm_min}"


def _said(value: int | None, what: str) -> str:
    return f"nothing known of how many {what}" if value is None else f"{value} {what}"


def _measure(one: Candidate, criterion: str) -> tuple[int, str]:
    """Return an offer's value by one criterion (less is better), and the value in words."""
    far = 1 << 62
    distance, confidence = one.distance_mm, one.confidence_ppm
    by = {
        "price": (far if one.price is None else one.price, f"price {one.price}"),
        "distance": (far if distance is None else distance, _said(distance, "mm away")),
        "reputation": (-one.reputation_ppm, f"{one.reputation_ppm} ppm of reputation"),
        "confidence": (far if confidence is None else -confidence, _said(confidence, "ppm of confidence")),
        "earliest": (one.signed_ns, f"signed at {one.signed_ns} ns"),
    }
    return by[criterion]


def _rank(one: Candidate, terms: MatchingTerms) -> tuple[int, ...]:
    return tuple(_measure(one, criterion)[0] for criterion in terms.order)


def _behind(winner: Candidate, one: Candidate, terms: MatchingTerms) -> str | None:
    """Return the criterion by which an offer ranks behind the winner; None if there is none."""
    if one is winner:
        return None
    for criterion in terms.order:
        mine, best = _measure(one, criterion), _measure(winner, criterion)
        if mine[0] != best[0]:
            return f"{mine[1]}; the one taken has {best[1]}"
    return "equal by every criterion; the lower hash is taken"
