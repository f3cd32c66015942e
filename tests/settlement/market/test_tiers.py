"""Tiers: who may use one, whom it displaces and when, and what is owed; a weaker tier never displaces a stronger."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain.scope import Window
from settlement.core.reasons import Reason, Refusal
from settlement.market.tiers import Displaceable, Displacement, compensation, judge_displacing, judge_eligible
from settlement.records.marketterms import COMPENSATIONS, TierTerms

NS = 1_000_000_000


def terms(**changes: Any) -> TierTerms:
    base = {"tier": 2, "displaces": (3,), "condition": "none", "notice_ns": NS, "owed": "remaining", "amount": 0}
    return TierTerms(**{**base, **changes})


HELD = Displaceable(tier=3, window=Window(start_ns=0, end_ns=100 * NS), price=1000, leased_until_ns=22 * NS)


def displacing(by: TierTerms | None, held: Displaceable = HELD, **changes: Any) -> Displacement | Refusal:
    facts = {"opens_ns": 30 * NS, "now_ns": 20 * NS, "emergency": False, **changes}
    return judge_displacing(by, 2, held, **facts)


@pytest.mark.feature("A1")
def test_the_displaced_is_silent_before_the_window_opens_and_owed_the_rest() -> None:
    """Silent when its last lease is over, at 22 s: 78 of 100 s are left of a price of 1,000."""
    assert displacing(terms()) == Displacement(vacate_by_ns=22 * NS, owed=780)
    early = displacing(terms(), opens_ns=21 * NS)
    assert isinstance(early, Refusal)
    assert early.clause == "tier.notice"
    assert isinstance(displacing(terms(notice_ns=10 * NS), opens_ns=30 * NS), Displacement)
    assert isinstance(displacing(terms(notice_ns=11 * NS), opens_ns=30 * NS), Refusal)


@pytest.mark.feature("A1")
@pytest.mark.attack(41)
def test_a_tier_displaces_only_what_its_terms_name() -> None:
    for by in (None, terms(displaces=(4,)), terms(displaces=())):
        refusal = displacing(by)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.TIER


@pytest.mark.feature("A1")
def test_conditions() -> None:
    assert isinstance(displacing(terms(condition="emergency"), emergency=True), Displacement)
    assert isinstance(displacing(terms(condition="emergency")), Refusal)
    assert isinstance(displacing(terms(condition="incumbent"), emergency=True), Refusal)
    assert isinstance(displacing(terms(condition="after", after_ns=20 * NS)), Displacement)
    assert isinstance(displacing(terms(condition="after", after_ns=21 * NS)), Refusal)


@pytest.mark.feature("A1")
def test_eligibility_is_by_level() -> None:
    tiers = (terms(levels=("emergency service",)),)
    assert judge_eligible(tiers, 2, "emergency service") is None
    assert judge_eligible(tiers, 3, "operator") is None
    refusal = judge_eligible(tiers, 2, "operator")
    assert refusal is not None
    assert refusal.reason is Reason.TIER


@pytest.mark.feature("A1")
def test_each_form_of_compensation() -> None:
    owed = {"none": 0, "fixed": 50, "remaining": 780, "multiple": 1500}
    amounts = {"fixed": 50, "multiple": 1_500_000}
    assert {
        form: compensation(terms(owed=form, amount=amounts.get(form, 0)), HELD, 22 * NS) for form in COMPENSATIONS
    } == owed


@given(st.integers(0, 10**9), st.integers(0, 150 * NS), st.integers(0, 150 * NS))
def test_what_is_owed_for_the_rest_falls_with_time_and_is_never_more_than_the_price(
    price: int, one: int, other: int
) -> None:
    held = Displaceable(tier=3, window=HELD.window, price=price, leased_until_ns=0)
    early, late = sorted((one, other))
    assert price >= compensation(terms(), held, early) >= compensation(terms(), held, late) >= 0


def test_terms_that_contradict_themselves_say_where() -> None:
    flawed = [
        terms(displaces=(1,)),
        terms(displaces=(2,)),
        terms(condition="never"),
        terms(condition="after"),
        terms(owed="later"),
    ]
    assert [flaw[0] for one in flawed if (flaw := one.meaning_flaw())] == [
        ".displaces",
        ".displaces",
        ".condition",
        ".after_ns",
        ".owed",
    ]
