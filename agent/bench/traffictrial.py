"""On and off times of traffic, and how often the two intervals of an occupancy hold what they claim to hold."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.longrun import long_run_occupancy
from sensing.occupancy import channel_occupancy

BLOCK_S: Final = 1e-4
MEAN_BLOCKS: Final = 30.0
"""Mean on time in blocks."""
BLOCKS: Final = 6000


class OnOff(Enum):
    """How long traffic is on and off at a time."""

    FIXED = "fixed on and off times"
    EXPONENTIAL = "exponential on and off times"
    PARETO_LIGHT = "Pareto on and off times, index 2.5"
    PARETO_HEAVY = "Pareto on and off times, index 1.5"


TAIL: Final = {OnOff.PARETO_LIGHT: 2.5, OnOff.PARETO_HEAVY: 1.5}


def traffic(rng: np.random.Generator, kind: OnOff, *, share: float, blocks: int = BLOCKS) -> NDArray[np.bool_]:
    """Which blocks are busy, shape (blocks,), seen from a random instant on; `share` is the long-run share."""
    on, off = MEAN_BLOCKS, MEAN_BLOCKS * (1 - share) / share
    count = int(6 * blocks / (on + off)) + 400

    def drawn(mean: float) -> NDArray[np.float64]:
        if kind is OnOff.FIXED:
            return np.full(count, mean)
        if kind is OnOff.EXPONENTIAL:
            return rng.exponential(mean, count)
        tail = TAIL[kind]
        times: NDArray[np.float64] = mean * (tail - 1) / tail * (1 + rng.pareto(tail, count))
        return times

    edges = np.cumsum(np.stack([drawn(on), drawn(off)], axis=1).ravel())
    start = rng.uniform(0, edges[-1] - blocks)
    busy: NDArray[np.bool_] = np.searchsorted(edges, start + np.arange(blocks) + 0.5) % 2 == 0
    return busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Of how many stretches the interval of the stretch held the stretch, and that of the long run the long run."""

    stretch: int
    long_run: int
    trials: int


def covered(seed: int, kind: OnOff, *, share: float, trials: int) -> Covered:
    """Count over so many stretches of `BLOCKS` blocks."""
    rng = np.random.default_rng([seed, list(OnOff).index(kind), round(1000 * share)])
    stretch = long_run = 0
    for _ in range(trials):
        busy = traffic(rng, kind, share=share)
        here, whole = channel_occupancy(busy), long_run_occupancy(busy, step_s=BLOCK_S)
        stretch += here.low <= float(busy.mean()) <= here.high
        long_run += whole.low <= share <= whole.high
    return Covered(stretch=stretch, long_run=long_run, trials=trials)
