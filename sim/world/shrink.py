"""Shrinks a failing run: removes acts as long as the same invariant still breaks.

Delta debugging (Zeller and Hildebrandt 2002, ddmin): halves, then quarters, down to single acts, each time keeping what
still breaks; at last a calm network is tried, where nothing is lost, repeated or late. The random numbers of members,
clocks and network are drawn by their own seeds, so that an act taken out leaves the others as they were.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from sim.world.monitor import Breach
from sim.world.plan import Act, Plan, Weather
from sim.world.run import World, run_plan

AnyPlan = TypeVar("AnyPlan", bound=Plan)
RUNS_MAX = 400
"""Most runs for one failing seed."""
CALM = Weather(drop_ppt=0, duplicate_ppt=0, late_ppt=0, delay_ns_max=2_000_000, late_ns_max=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """A smaller plan that breaks the same invariant: the breach, the acts kept, and the number of runs."""

    plan: Plan
    breach: Breach
    kept: tuple[int, ...]
    calm: bool
    runs: int

    def report(self, how: str = "") -> str:
        """The acts in order, and the command that runs only them; `how` are further options of its plan."""
        acts = [f"  {act.at_ns / 1e9:9.6f} s  {act.who} {act.what} {act.number}" for act in self.plan.acts]
        numbers = ",".join(str(number) for number in self.kept) or "none"
        again = f"python -m sim.world --seed {self.plan.seed}{how} --acts {numbers}{' --calm' if self.calm else ''}"
        head = f"seed {self.plan.seed}, shrunk to {len(acts)} acts in {self.runs} runs: {self.breach}"
        return "\n".join([head, *acts, f"  again: {again} --trace"])


def with_acts(plan_: AnyPlan, kept: tuple[int, ...], *, calm: bool = False) -> AnyPlan:
    """The plan with only these of its acts, by index."""
    acts: tuple[Act, ...] = tuple(plan_.acts[number] for number in kept)
    return replace(plan_, acts=acts, weather=CALM if calm else plan_.weather)


def shrunk(plan_: Plan, *, world: type[World] = World, runs_max: int = RUNS_MAX) -> Shrunk | None:
    """The smallest plan found that breaks the same invariant first; None where the plan breaks none."""
    runs = 0

    def breaks(kept: tuple[int, ...], *, calm: bool = False) -> Breach | None:
        nonlocal runs
        runs += 1
        found = run_plan(with_acts(plan_, kept, calm=calm), world=world).breaches
        return found[0] if found else None

    everything = tuple(range(len(plan_.acts)))
    first = breaks(everything)
    if first is None:
        return None
    kept, breach = _fewest(*_before(plan_, first, everything, breaks), breaks, lambda: runs < runs_max)
    still = breaks(kept, calm=True)
    calm = still is not None and still.invariant == first.invariant
    breach = still if calm and still is not None else breach
    return Shrunk(plan=with_acts(plan_, kept, calm=calm), breach=breach, kept=kept, calm=calm, runs=runs)


def _before(
    plan_: Plan, breach: Breach, everything: tuple[int, ...], breaks: Callable[[tuple[int, ...]], Breach | None]
) -> tuple[tuple[int, ...], Breach]:
    """Remove the acts after the breach, where it happens all the same."""
    kept = tuple(number for number in everything if plan_.acts[number].at_ns <= breach.true_ns)
    if kept == everything:
        return everything, breach
    found = breaks(kept)
    same = found is not None and found.invariant == breach.invariant
    return (kept, found) if found is not None and same else (everything, breach)


def _fewest(
    kept: tuple[int, ...],
    breach: Breach,
    breaks: Callable[[tuple[int, ...]], Breach | None],
    more: Callable[[], bool],
) -> tuple[tuple[int, ...], Breach]:
    """Remove parts, ever smaller ones, while the rest breaks the same invariant."""
    parts = 2
    while kept and more():
        size = max(1, -(-len(kept) // parts))
        for start in range(0, len(kept), size):
            left = kept[:start] + kept[start + size :]
            found = breaks(left)
            if found is not None and found.invariant == breach.invariant:
                kept, breach, parts = left, found, max(2, parts - 1)
                break
            if not more():
                return kept, breach
        else:
            if size == 1:
                break
            parts = min(len(kept), parts * 2)
    return kept, breach
