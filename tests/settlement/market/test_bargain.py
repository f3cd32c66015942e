"""Bargaining: turns and rounds are held to, both sides together come to a price that both can bear, or to none."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.chain.scope import Area, Band, Cell, Window
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Reason
from settlement.market.bargain import Bargain, holder_price, judge_turn, meets, user_price
from settlement.records.market import Counter

CELL = Cell(
    band=Band(low_hz=1, high_hz=2), area=Area(lat_e7=0, lon_e7=0, radius_mm=1), window=Window(start_ns=0, end_ns=1)
)
NOW = TimeFix(earliest_ns=100, latest_ns=101, source=TimeSource.SIMULATED, trusted=True)
REQUEST, FIRST = b"\x01" * 32, b"\x02" * 32


def counter(**changes: Any) -> Counter:
    base = {
        "declaration": b"\x03" * 32,
        "answers": REQUEST,
        "round": 1,
        "cell": CELL,
        "commodity": "cbrs",
        "price": 5,
        "answer_by_ns": 200,
        "rule": b"\x04" * 32,
    }
    return Counter(**{**base, **changes})


@pytest.mark.feature("M3")
@pytest.mark.attack(51)
def test_turns_rounds_and_time() -> None:
    opened = Bargain(last=REQUEST, round=0, user_price=3)
    once = Bargain(last=FIRST, round=1, user_price=3, holder_price=9, answer_by_ns=200)
    assert judge_turn(counter(), opened, by_holder=True, rounds_max=2, now=NOW) is None
    assert judge_turn(counter(answers=FIRST, round=2), once, by_holder=False, rounds_max=2, now=NOW) is None
    refused = [
        (counter(), opened, False, 2, Reason.ROUNDS),
        (counter(round=2), opened, True, 2, Reason.ROUNDS),
        (counter(answers=FIRST), opened, True, 2, Reason.OUT_OF_ORDER),
        (counter(answers=FIRST, round=2), once, False, 1, Reason.ROUNDS),
    ]
    for body, at, by_holder, most, reason in refused:
        refusal = judge_turn(body, at, by_holder=by_holder, rounds_max=most, now=NOW)
        assert refusal is not None
        assert refusal.reason is reason
    late = Bargain(last=FIRST, round=1, user_price=3, holder_price=9, answer_by_ns=101)
    refusal = judge_turn(counter(answers=FIRST, round=2), late, by_holder=False, rounds_max=2, now=NOW)
    assert refusal is not None
    assert refusal.clause == "counter.answer_by"


def haggle(asked: int, least: int, bid: int, most: int, rounds_max: int) -> tuple[int | None, int]:
    """Both sides by their own policies: the price they come to, and the rounds it took."""
    at = Bargain(last=REQUEST, round=0, user_price=bid)
    while not meets(at, least):
        if at.round >= rounds_max:
            return None, at.round
        put = holder_price(at, asked=asked, least=least, rounds_max=rounds_max)
        at = Bargain(last=FIRST, round=at.round + 1, user_price=at.user_price, holder_price=put)
        if at.round >= rounds_max:
            return None, at.round
        bid_again = user_price(at, most=most, rounds_max=rounds_max)
        if bid_again is None:
            return None, at.round
        at = Bargain(last=FIRST, round=at.round + 1, user_price=bid_again, holder_price=put)
    return at.user_price, at.round


@pytest.mark.feature("M3")
def test_a_bargain_is_struck_between_what_both_can_bear() -> None:
    price, rounds = haggle(asked=10_000, least=4_000, bid=1_000, most=7_000, rounds_max=6)
    assert price is not None
    assert 4_000 <= price <= 7_000
    assert 2 <= rounds <= 6
    assert haggle(asked=10_000, least=8_000, bid=1_000, most=7_000, rounds_max=6)[0] is None


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 9))
def test_nobody_pays_more_or_takes_less_than_it_said(
    one: int, two: int, three: int, four: int, rounds_max: int
) -> None:
    least, asked = sorted((one, two))
    bid, most = sorted((three, four))
    price, rounds = haggle(asked, least, bid, most, rounds_max)
    assert rounds <= rounds_max
    if price is not None:
        assert least <= price <= most
