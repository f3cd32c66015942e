"""The simulated clock: an interval that holds the truth exactly as long as the script lets it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.core.scriptedclock import NS, ClockStatus, Jump, Outage, SimClock, read, true_utc_ns

pytestmark = pytest.mark.feature("S6")

CLOCK = SimClock(utc_at_zero_ns=1_800_000_000 * NS, zero_ns=5 * NS, error_ns=-300, bound_ns=1_000)


@given(st.integers(0, 10**15), st.integers(-1000, 1000), st.integers(1000, 10**6))
def test_an_honest_bound_holds_the_truth(at_ns: int, error_ns: int, bound_ns: int) -> None:
    clock = replace(CLOCK, error_ns=error_ns, bound_ns=bound_ns)
    reading = read(clock, at_ns)
    assert reading.earliest_ns <= true_utc_ns(clock, at_ns) <= reading.latest_ns
    assert reading.latest_ns - reading.earliest_ns == 2 * bound_ns
    assert reading == read(clock, at_ns)


def test_the_mapping_is_the_trials() -> None:
    assert true_utc_ns(CLOCK, 5 * NS) == 1_800_000_000 * NS
    assert true_utc_ns(CLOCK, 7 * NS) == 1_800_000_002 * NS


@given(st.integers(0, 10 * NS), st.integers(-50_000, 50_000))
def test_without_fixes_the_bound_grows_as_fast_as_the_error_may(into_ns: int, drift_ppb: int) -> None:
    clock = replace(CLOCK, drift_ppb=drift_ppb, outages=(Outage(from_s=1.0, to_s=11.0),))
    at_ns = clock.zero_ns + NS + into_ns
    reading = read(clock, at_ns)
    assert reading.earliest_ns <= true_utc_ns(clock, at_ns) <= reading.latest_ns
    if into_ns < 10 * NS:
        assert reading.status is ClockStatus.HOLDOVER
        assert reading.latest_ns - reading.earliest_ns >= 2 * (1_000 + into_ns * 50_000 // NS)


def test_an_outage_ends_and_a_lost_receiver_says_so() -> None:
    clock = replace(CLOCK, outages=(Outage(from_s=1.0, to_s=2.0), Outage(from_s=3.0, to_s=4.0, lost=True)))
    found = [read(clock, clock.zero_ns + round(at * NS)).status for at in (0.5, 1.0, 1.9, 2.0, 3.5, 4.0)]
    assert [status.value for status in found] == ["locked", "holdover", "holdover", "locked", "lost", "locked"]


def test_a_jump_moves_the_interval_off_the_truth_without_a_word() -> None:
    clock = replace(CLOCK, jumps=(Jump(at_s=2.0, by_ns=5_000_000),))
    before, after = (read(clock, clock.zero_ns + at * NS) for at in (1, 2))
    assert before.earliest_ns <= true_utc_ns(clock, clock.zero_ns + NS) <= before.latest_ns
    assert after.earliest_ns > true_utc_ns(clock, clock.zero_ns + 2 * NS)
    assert (after.status, after.latest_ns - after.earliest_ns) == (ClockStatus.LOCKED, 2_000)
