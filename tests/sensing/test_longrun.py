"""Two intervals: of the stretch that was heard, and of the long run of which it is a sample."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from sensing.longrun import VALUES_AT_ONCE, _log_sums, long_run_occupancy
from sensing.occupancy import channel_occupancy

TRIALS = 60


def traffic(rng: np.random.Generator, tail: float | None, on: float, off: float, samples: int) -> np.ndarray:
    """On and off times of those means, exponential or Pareto, seen from a random instant on."""
    count = int(6 * samples / (on + off)) + 400

    def drawn(mean: float) -> np.ndarray:
        if tail is None:
            return rng.exponential(mean, count)
        return mean * (tail - 1) / tail * (1 + rng.pareto(tail, count))

    edges = np.cumsum(np.stack([drawn(on), drawn(off)], axis=1).ravel())
    start = rng.uniform(0, edges[-1] - samples)
    return np.searchsorted(edges, start + np.arange(samples) + 0.5) % 2 == 0


@pytest.mark.feature("E2")
@pytest.mark.parametrize(
    ("tail", "on", "share"), [(None, 30, 0.5), (2.5, 30, 0.5), (1.5, 30, 0.5), (1.5, 30, 0.1), (1.5, 10, 0.9)]
)
def test_the_long_run_is_covered_and_the_stretch_too(tail: float | None, on: float, share: float) -> None:
    rng = np.random.default_rng(11)
    long_run = stretch = naive = 0
    for _ in range(TRIALS):
        busy = traffic(rng, tail, on, on * (1 - share) / share, 6000)
        whole, here = long_run_occupancy(busy, step_s=1e-4), channel_occupancy(busy)
        long_run += whole.low <= share <= whole.high
        stretch += here.low <= float(busy.mean()) <= here.high
        naive += here.low <= share <= here.high
    assert stretch == TRIALS
    assert long_run >= stats.binom.ppf(0.01, TRIALS, 0.95)
    if (tail, share) == (1.5, 0.5):
        assert naive < 0.85 * TRIALS, "what holds for the stretch does not hold for the long run"


def test_little_is_said_of_the_long_run_from_few_cycles() -> None:
    busy = np.zeros(1000, bool)
    busy[100:300] = True
    whole = long_run_occupancy(busy, step_s=1e-4)
    assert np.isnan(whole.value), "one burst tells nothing of how often bursts come"
    assert (whole.low, whole.high) == (0.0, 1.0)
    assert long_run_occupancy(np.zeros(1, bool), step_s=1e-4).high > 0.5


@pytest.mark.parametrize("count", [8, VALUES_AT_ONCE - 1, 3 * VALUES_AT_ONCE + 7])
def test_sums_between_the_lattice_are_those_of_every_scale_by_itself(count: int) -> None:
    rng = np.random.default_rng(count)
    values, times = np.unique(np.round(rng.pareto(1.3, count), 3), return_counts=True)
    scales = np.geomspace(0.009, 3540, 500).reshape(20, 25) * values.mean()
    exact = (np.log1p(values / scales[..., None]) * times).sum(axis=-1)
    assert np.abs(_log_sums(values, times, scales) - exact).max() < 1e-7 * count


def test_hours_of_bursts_take_no_more_memory_than_a_minute_of_them() -> None:
    rng = np.random.default_rng(3)

    def most(bursts: int) -> int:
        edges = np.cumsum(rng.exponential(5.0, 2 * bursts))
        busy = np.searchsorted(edges, np.arange(int(edges[-1]))) % 2 == 0
        times_s = np.cumsum(rng.uniform(0.9, 1.1, len(busy)))
        tracemalloc.start()
        long_run_occupancy(busy, step_s=1.0, times_s=times_s)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held - 30 * len(busy)

    assert most(4000) < 2 * most(200) + 8_000_000, "a grid of scales for each length of a burst"
