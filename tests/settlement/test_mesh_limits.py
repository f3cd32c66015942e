"""Token buckets: pure, exact, and what finds one empty costs it nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.mesh.limits import NS, Bucket, Limits, PeerRates, Rate

RATE = Rate(per_s=10, burst=5)


def test_a_burst_then_the_rate() -> None:
    bucket = Bucket.full(RATE, 0)
    for _ in range(5):
        after = bucket.take(RATE, 1, 0)
        assert after is not None
        bucket = after
    assert bucket.take(RATE, 1, 0) is None
    assert bucket.take(RATE, 1, NS // 10 - 1) is None
    assert bucket.take(RATE, 1, NS // 10) is not None


@given(st.lists(st.integers(0, NS), max_size=60))
def test_never_more_than_burst_and_rate_allow(gaps: list[int]) -> None:
    bucket, now, taken = Bucket.full(RATE, 0), 0, 0
    for gap in gaps:
        now += gap
        after = bucket.take(RATE, 1, now)
        taken, bucket = (taken + 1, after) if after is not None else (taken, bucket)
        assert taken * NS <= RATE.burst * NS + RATE.per_s * now


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    bucket = Bucket.full(RATE, 100).take(RATE, 5, 100)
    assert bucket is not None
    assert bucket.take(RATE, 1, 100) is None
    assert bucket.take(RATE, 1, 50) is None


def test_one_neighbours_flood_leaves_the_others_theirs() -> None:
    rates = PeerRates(Limits(messages=RATE, data=Rate(per_s=100, burst=1000)))
    assert [rates.takes(b"a", 10, 0) for _ in range(8)] == [True] * 5 + [False] * 3
    assert rates.takes(b"b", 10, 0)
    assert not rates.takes(b"b", 2000, 0)
    assert rates.over == {b"a": 3, b"b": 1}
    assert rates.takes(b"a", 10, NS)


@pytest.mark.parametrize("size", [0, 1])
def test_the_defaults_let_a_busy_neighbour_work(size: int) -> None:
    rates = PeerRates(Limits())
    assert all(rates.takes(b"a", size, 0) for _ in range(1000))
