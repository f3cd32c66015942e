"""`python -m sim.world --seed N`: run seeds in virtual time; print what breaks, made small, and how to run it again.

With `--nodes N --hours H` a city instead of a world of seconds: members with places who move, come and go.
"""

import argparse
import os
import sys
import time

from sim.world.city import City, run_city
from sim.world.cityplan import FAULTS, city_plan
from sim.world.many import run_seeds
from sim.world.plan import Plan, plan
from sim.world.run import World, run_plan
from sim.world.shrink import shrunk, with_acts

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells use it."""


def _one(plan_: Plan, *, trace: bool, small: bool) -> int:
    outcome = run_plan(plan_, keep_lines=trace)
    for line in outcome.lines:
        print(line)
    for breach in outcome.breaches:
        print(f"seed {plan_.seed}: {breach}")
    held = "BROKEN" if outcome.breaches else "every invariant holds"
    print(f"seed {plan_.seed}: trace {outcome.trace}, {held}")
    if outcome.breaches and not small:
        _shrink(plan_)
    return 1 if outcome.breaches else 0


def _shrink(plan_: Plan, world: type[World] = World, again: str = "") -> None:
    found = shrunk(plan_, world=world)
    if found is not None:
        print(found.report(again))


def _chosen(text: str, made: Plan) -> tuple[int, ...]:
    """Parse the indices of a plan's acts, as in `--acts`; raises ValueError with the error."""
    if text == "none":
        return ()
    numbers = tuple(int(one) for one in text.split(","))
    wrong = [one for one in numbers if not 0 <= one < len(made.acts)]
    if wrong:
        raise ValueError(f"seed {made.seed} has acts 0 to {len(made.acts) - 1}, and no {wrong[0]}")
    return numbers


def _city(asked: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run one city; returns 1 where an invariant was broken, after shrinking the run."""
    if asked.count != 1:
        parser.error("--nodes runs one city; leave --count away")
    how = {"nodes": asked.nodes, "hours": asked.hours, "faults": asked.faults}
    try:
        whole = city_plan(asked.seed, **how, wants_per_hour=asked.wants, moves_per_hour=asked.moves)
        kept = tuple(range(len(whole.acts))) if asked.acts is None else _chosen(asked.acts, whole)
    except ValueError as exc:
        parser.error(str(exc))
    plan_ = with_acts(whole, kept, calm=asked.calm)
    found = run_city(plan_, keep_lines=asked.trace)
    for line in found.outcome.lines:
        print(line)
    for breach in found.outcome.breaches:
        print(f"seed {asked.seed}: {breach}")
    print(found.report())
    held = "BROKEN" if found.outcome.breaches else "every invariant holds"
    print(f"seed {asked.seed}: trace {found.outcome.trace}, {held}")
    if found.outcome.breaches and asked.acts is None:
        again = f"--nodes {asked.nodes} --hours {asked.hours} --faults {asked.faults}"
        _shrink(whole, City, f" {again} --wants {asked.wants} --moves {asked.moves}")
    return 1 if found.outcome.breaches else 0


def main() -> int:
    """Run the requested seeds; ends with 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(prog="python -m sim.world", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds from there on")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--trace", action="store_true", help="print every line of the trace (one seed)")
    parser.add_argument("--acts", help="of one seed these acts alone, by their place in its plan: 0,4,7, or none")
    parser.add_argument("--calm", action="store_true", help="of one seed with a network that loses and delays nothing")
    city = parser.add_argument_group("a city")
    city.add_argument("--nodes", type=int, help="members, a quarter of them holders; asks for a city")
    city.add_argument("--hours", type=int, default=24, help="virtual hours")
    city.add_argument("--faults", choices=FAULTS, default="none", help="unlimited: of any number, and never mended")
    city.add_argument("--wants", type=float, default=1.0, help="requests of each user an hour")
    city.add_argument("--moves", type=float, default=0.1, help="moves an hour of each user that moves")
    asked = parser.parse_args()
    try:
        return _asked(asked, parser)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _asked(asked: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if asked.nodes is not None:
        return _city(asked, parser)
    if asked.count == 1:
        made = plan(asked.seed)
        try:
            kept = tuple(range(len(made.acts))) if asked.acts is None else _chosen(asked.acts, made)
        except ValueError as exc:
            parser.error(f"--acts: {exc}")
        chosen = with_acts(made, kept, calm=asked.calm)
        return _one(chosen, trace=asked.trace, small=asked.acts is not None)
    if asked.acts is not None or asked.calm:
        parser.error("--acts and --calm are of one seed; leave --count away")
    began = time.monotonic()
    tally = run_seeds(asked.seed, asked.count, jobs=asked.jobs)
    if tally.broken:
        print(tally.report())
        _shrink(plan(min(tally.broken)))
    print(", ".join(f"{name} {count}" for name, count in sorted(tally.counts.items())))
    print(
        f"{tally.seeds} seeds, {len(tally.broken)} broken, {time.monotonic() - began:.1f} s on {asked.jobs} processes"
    )
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
