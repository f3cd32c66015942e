"""`python -m sim.world --seed N`: run seeds in virtual time; print what breaks and how to run it again."""

import argparse
import os
import sys
import time

from sim.world.many import run_seeds
from sim.world.run import simulate


def _one(seed: int, *, trace: bool) -> int:
    outcome = simulate(seed, keep_lines=trace)
    for line in outcome.lines:
        print(line)
    for breach in outcome.breaches:
        print(f"seed {seed}: {breach}")
    print(f"seed {seed}: trace {outcome.trace}, {'BROKEN' if outcome.breaches else 'every invariant holds'}")
    return 1 if outcome.breaches else 0


def main() -> int:
    """Run the seeds asked for; ends with 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(prog="python -m sim.world", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds from there on")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--trace", action="store_true", help="print every line of the trace (one seed)")
    asked = parser.parse_args()
    if asked.count == 1:
        return _one(asked.seed, trace=asked.trace)
    began = time.monotonic()
    tally = run_seeds(asked.seed, asked.count, jobs=asked.jobs)
    if tally.broken:
        print(tally.report())
    print(", ".join(f"{name} {count}" for name, count in sorted(tally.counts.items())))
    print(
        f"{tally.seeds} seeds, {len(tally.broken)} broken, {time.monotonic() - began:.1f} s on {asked.jobs} processes"
    )
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
