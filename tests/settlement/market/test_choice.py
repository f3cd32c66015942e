"""Matching: one winner in whatever order offers are heard, and a reason for passing over each of the others."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.chain.scope import Area, Band, Cell, Window
from settlement.market.choice import Candidate, SpectrumWish, match_offers
from settlement.records.marketterms import CRITERIA, MatchingTerms

AREA = Area(lat_e7=0, lon_e7=0, radius_mm=1000)
MHZ = 1_000_000
WISH = SpectrumWish(band=Band(low_hz=3550 * MHZ, high_hz=3560 * MHZ), window=Window(start_ns=10, end_ns=20), tier=2)


def offer(name: int, **changes: object) -> Candidate:
    base = Candidate(
        declaration=bytes([name]) * 32,
        holder=f"holder-{name}",
        cell=Cell(band=Band(low_hz=3550 * MHZ, high_hz=3570 * MHZ), area=AREA, window=Window(start_ns=0, end_ns=100)),
        commodity="cbrs",
        tier_low=2,
        tier_high=3,
        max_eirp_mdbm=20_000,
        price=7,
        reputation_ppm=250_000,
        signed_ns=5,
        distance_mm=1000,
        confidence_ppm=900_000,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.feature("M2")
@pytest.mark.parametrize(
    ("criterion", "better"),
    [
        ("price", {"price": 6}),
        ("distance", {"distance_mm": 10}),
        ("reputation", {"reputation_ppm": 900_000}),
        ("confidence", {"confidence_ppm": 990_000}),
        ("earliest", {"signed_ns": 1}),
    ],
)
def test_each_criterion_decides_where_the_rule_names_it_first(criterion: str, better: dict[str, object]) -> None:
    plain, best = offer(1), offer(2, **better)
    found = match_offers(WISH, [plain, best], MatchingTerms(order=(criterion,)))
    assert found.winner == best
    assert found.considered[0].passed is None
    assert "the one taken has" in (found.considered[1].passed or "")
    others = tuple(one for one in CRITERIA if one != criterion)
    assert match_offers(WISH, [plain, best], MatchingTerms(order=others)).winner == plain, "equal: the lower hash"


@pytest.mark.feature("M2")
@pytest.mark.parametrize(
    ("changes", "wish", "terms", "why"),
    [
        ({"tier_high": 1, "tier_low": 1}, {}, {}, "tiers 1-1"),
        ({}, {"commodity": "cbrs2"}, {}, "class cbrs"),
        ({}, {"eirp_mdbm": 20_001}, {}, "at most 20 dBm"),
        ({}, {"price_max": 6}, {}, "costs 7"),
        ({"price": None}, {}, {}, "cannot be told"),
        ({}, {"window": Window(start_ns=50, end_ns=101)}, {}, "ends too soon"),
        ({}, {"band": Band(low_hz=3565 * MHZ, high_hz=3575 * MHZ)}, {}, "does not hold"),
        ({}, {}, {"distance_mm_max": 999}, "999 mm at most"),
        ({"distance_mm": None}, {}, {"distance_mm_max": 999}, "nothing known"),
        ({}, {}, {"reputation_ppm_min": 250_001}, "asks for 250001"),
        ({"confidence_ppm": None}, {}, {"confidence_ppm_min": 1}, "nothing known"),
    ],
)
def test_an_unfit_offer_is_passed_over_with_its_reason(
    changes: dict[str, object], wish: dict[str, object], terms: dict[str, int], why: str
) -> None:
    fits = match_offers(WISH, [offer(1)], MatchingTerms(order=("price",)))
    assert fits.winner is not None
    by = MatchingTerms(order=("price",), **terms)
    found = match_offers(replace(WISH, **wish), [offer(1, **changes)], by)  # type: ignore[arg-type]
    assert found.winner is None
    assert why in (found.considered[0].passed or "")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=12), st.randoms()
)
def test_the_winner_does_not_hang_on_the_order_of_hearing(rows: list[tuple[int, int, int]], shuffle: Random) -> None:
    """And nobody that fits stands better by the first criterion."""
    offers = [
        offer(n, price=price, distance_mm=far, tier_low=1, tier_high=high) for n, (price, far, high) in enumerate(rows)
    ]
    by = MatchingTerms(order=("price", "distance"))
    one = match_offers(WISH, offers, by)
    mixed = list(offers)
    shuffle.shuffle(mixed)
    assert match_offers(WISH, mixed, by) == one
    assert {c.candidate.declaration for c in one.considered} == {o.declaration for o in offers}
    fit = [o for o in offers if o.tier_high >= WISH.tier]
    assert (one.winner is None) == (not fit)
    if one.winner is not None:
        assert one.winner.price == min(o.price or 0 for o in fit)
