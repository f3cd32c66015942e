"""Runs many seeds on all cores; seeds are independent, so their order does not matter."""

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from sim.world.monitor import Breach
from sim.world.run import simulate

CHUNK = 10


@dataclass(slots=True)
class SeedTally:
    """The results of many seeds: number of runs, counts of events, and the first breaches of each failed seed."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: dict[int, list[Breach]] = field(default_factory=dict)

    def report(self) -> str:
        """One line for each failed seed, with the command that repeats it."""
        lines = [
            f"seed {seed}: {breaches[0]}; replay: python -m sim.world --seed {seed} --trace"
            for seed, breaches in sorted(self.broken.items())
        ]
        return "\n".join(lines)


def _some(first: int, count: int) -> SeedTally:
    tally = SeedTally()
    for seed in range(first, first + count):
        outcome = simulate(seed)
        tally.seeds += 1
        tally.counts += outcome.counts
        if outcome.breaches:
            tally.broken[seed] = outcome.breaches
    return tally


def run_seeds(first: int, count: int, *, jobs: int) -> SeedTally:
    """Run `count` seeds from `first` in `jobs` processes."""
    if jobs <= 1:
        return _some(first, count)
    whole = SeedTally()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        starts = range(first, first + count, CHUNK)
        sizes = [min(CHUNK, first + count - start) for start in starts]
        for tally in pool.map(_some, starts, sizes):
            whole.seeds += tally.seeds
            whole.counts += tally.counts
            whole.broken |= tally.broken
    return whole
