"""`python -m sim.world --seed N`: run seeds in virtual time, print what breaks and how to run it again."""

import argparse
import sys
import time
from collections import Counter

from sim.world.run import simulate


def main() -> int:
    """Run the seeds asked for; ends with 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(prog="python -m sim.world", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds from there on")
    parser.add_argument("--trace", action="store_true", help="print every line of the trace")
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    broken, began = 0, time.process_time()
    for seed in range(asked.seed, asked.seed + asked.count):
        outcome = simulate(seed, keep_lines=asked.trace)
        counts += outcome.counts
        for line in outcome.lines:
            print(line)
        for breach in outcome.breaches[:3]:
            print(f"seed {seed}: {breach}; replay: python -m sim.world --seed {seed} --trace")
        broken += bool(outcome.breaches)
        if asked.count == 1:
            print(f"seed {seed}: trace {outcome.trace}")
    spent_s = time.process_time() - began
    print(f"{asked.count} seeds, {broken} broken, {spent_s:.1f} s of CPU")
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
