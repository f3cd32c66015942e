"""Two intervals: of the stretch that was heard, and of the long run of which it is a sample."""

import numpy as np
import pytest
from scipy import stats

from sensing.longrun import long_run_occupancy
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
