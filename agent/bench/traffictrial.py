"""Traffic with random on and off times, to measure the coverage of the two intervals of an occupancy."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from sensing.longrun import long_run_occupancy
from sensing.occupancy import channel_occupancy

BLOCK_S: Final = 1e-4
MEAN_BLOCKS: Final = 30.0
"""Mean on time in blocks."""
BLOCKS: Final = 6000


class OnOff(Enum):
    """Distributions of on and off times."""

    FIXED = "fixed on and off times"
    EXPONENTIAL = "exponential on and off times"
    PARETO_LIGHT = "Pareto on and off times, index 2.5"
    PARETO_HEAVY = "Pareto on and off times, index 1.5"
    PARETO_HEAVIEST = "Pareto on and off times, index 1.2"
    SESSIONS = "exponential times in sessions of ten or so, long pauses between"
    MEMORY = "exponential times whose mean wanders over some twenty of them"


TAIL: Final = {OnOff.PARETO_LIGHT: 2.5, OnOff.PARETO_HEAVY: 1.5, OnOff.PARETO_HEAVIEST: 1.2}
SESSION_END: Final = 0.1
SESSION_SHORT: Final = 0.3
"""Share of the mean off time that a pause within a session takes; rarer long pauses restore the mean."""
MEMORY_STEP: Final = 0.95
MEMORY_SPREAD: Final = 0.8


def traffic(rng: np.random.Generator, kind: OnOff, *, share: float, blocks: int = BLOCKS) -> NDArray[np.bool_]:
    """Return which blocks are busy, shape (blocks,), from a random instant on; `share` is the long-run share."""
    on, off = MEAN_BLOCKS, MEAN_BLOCKS * (1 - share) / share
    count = int(6 * blocks / (on + off)) + 400

    def drawn(mean: float, *, pauses: bool) -> NDArray[np.float64]:
        if kind is OnOff.FIXED:
            return np.full(count, mean)
        if kind is OnOff.EXPONENTIAL:
            return rng.exponential(mean, count)
        if kind is OnOff.MEMORY:
            return rng.exponential(mean, count) * _wandering(rng, count)
        if kind is OnOff.SESSIONS:
            if not pauses:
                return rng.exponential(mean, count)
            longer = rng.exponential(mean * (1 - SESSION_SHORT) / SESSION_END, count)
            return rng.exponential(mean * SESSION_SHORT, count) + longer * (rng.random(count) < SESSION_END)
        tail = TAIL[kind]
        times: NDArray[np.float64] = mean * (tail - 1) / tail * (1 + rng.pareto(tail, count))
        return times

    edges = np.cumsum(np.stack([drawn(on, pauses=False), drawn(off, pauses=True)], axis=1).ravel())
    start = rng.uniform(0, edges[-1] - blocks)
    busy: NDArray[np.bool_] = np.searchsorted(edges, start + np.arange(blocks) + 0.5) % 2 == 0
    return busy


def _wandering(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return log-normal factors of mean one, each correlated with the one before."""
    fresh = MEMORY_SPREAD * np.sqrt(1 - MEMORY_STEP**2) * rng.standard_normal(count)
    fresh[0] = MEMORY_SPREAD * rng.standard_normal()
    factor: NDArray[np.float64] = np.exp(lfilter([1.0], [1.0, -MEMORY_STEP], fresh) - MEMORY_SPREAD**2 / 2)
    return factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Number of stretches whose intervals held the stretch's share, and the long run's."""

    stretch: int
    long_run: int
    trials: int


def covered(seed: int, kind: OnOff, *, share: float, trials: int) -> Covered:
    """Count coverage over `trials` stretches of `BLOCKS` blocks."""
    rng = np.random.default_rng([seed, list(OnOff).index(kind), round(1000 * share)])
    stretch = long_run = 0
    for _ in range(trials):
        busy = traffic(rng, kind, share=share)
        here, whole = channel_occupancy(busy), long_run_occupancy(busy, step_s=BLOCK_S)
        stretch += here.low <= float(busy.mean()) <= here.high
        long_run += whole.low <= share <= whole.high
    return Covered(stretch=stretch, long_run=long_run, trials=trials)
