"""A beat that most pulses of a band keep for longer than a burst: heard now and then, each some microseconds off."""

import numpy as np
import pytest

from sensing.detectors.grid import keeps_a_beat

pytestmark = pytest.mark.feature("E3")
RANGE = {"shortest_us": 283.0, "burst_us": 20_000.0}


def symbols(seed: int, *, period_us: float, heard: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    at = np.arange(50.0, 100_000.0, period_us)
    at = at[rng.random(len(at)) < heard]
    return at + rng.uniform(-12, 12, len(at))


@pytest.mark.parametrize(("apart", "period_us"), [(1, 1000.0), (4, 500.0), (3, 500.0), (2, 1003.7)])
def test_symbols_of_which_few_are_heard_keep_a_beat(apart: int, period_us: float) -> None:
    for seed in range(20):
        others = symbols(seed, period_us=period_us, heard=0.3)
        start = 50.0 + 30 * period_us
        train = np.array([start - 6.0, start + apart * period_us + 7.0])
        assert keeps_a_beat(train, float(np.diff(train)[0]), others, **RANGE)


def test_pulses_at_any_time_keep_none() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        others = np.sort(rng.uniform(0, 100_000, 60))
        train = 40_000 + np.cumsum([0.0, rng.uniform(333, 3333)])
        assert not keeps_a_beat(train, float(np.diff(train)[0]), others, **RANGE)


def test_a_burst_alone_keeps_no_beat_beyond_itself_and_few_pulses_tell_nothing() -> None:
    burst = 40_000 + 1000.0 * np.arange(20)
    assert not keeps_a_beat(burst[:2], 1000.0, burst[2:], **RANGE), "all of it is within a burst"
    assert not keeps_a_beat(burst[:2], 1000.0, np.arange(50.0, 98_000.0, 14_000.0), **RANGE)


def test_a_radar_out_of_step_with_the_symbols_beside_it_is_not_a_part_of_their_beat() -> None:
    others = symbols(3, period_us=500.0, heard=0.6)
    for pri_us in (740.0, 1013.0, 1490.0, 2008.0):
        for first in (40_000.0, 40_210.0):
            train = first + pri_us * np.arange(12)
            assert not keeps_a_beat(train, pri_us, others, **RANGE)
