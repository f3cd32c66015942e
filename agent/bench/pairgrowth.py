"""What a settlement costs beside many peers, or beside many open ones: two towns, measured in turns of a few.

A machine is never as fast for a minute on end. So nothing is compared with what was measured a while ago: the two towns
stand beside each other, each settles a few times in turn, and what is told is the median of these turns. The memory
that Python looks through for what can go is then the same for both.

What a town costs each second while nobody settles, its connections above all, is measured first and left out: on a busy
machine a settlement waits, and would be charged for all that time.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from agent.bench.pair import OPEN_USERS, ROUND, WARM_UP, BenchHolder, settled, town
from agent.bench.sides import Users, cpu_s

IDLE_S, IDLE_LOOKS = 0.5, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Processor time of some settlements: of all that take part, and of the holder's process alone.

    `clock_s` is what they took by a clock, `steps` the durable steps of all parties.
    """

    clock_s: float
    both_s: float
    holder_s: float
    steps: int = 0

    def less(self, idle: "Spent") -> "Spent":
        """Without what as long a time costs while nobody settles."""
        share = self.clock_s / idle.clock_s
        holder_s, both_s = self.holder_s - share * idle.holder_s, self.both_s - share * idle.both_s
        return replace(self, holder_s=holder_s, both_s=both_s)


@dataclass(frozen=True, slots=True)
class GrowthTown:
    """A holder and its users."""

    holder: BenchHolder
    made: Users

    def spend(self, act: Callable[[], float]) -> Spent:
        """What an act costs, which returns the processor time of the users' process that counts."""
        steps, theirs_s, began_s = self._steps(), self.holder.tell("usage"), time.perf_counter()
        ours_s = act()
        theirs_s, clock_s = self.holder.tell("usage") - theirs_s, time.perf_counter() - began_s
        return Spent(clock_s=clock_s, both_s=theirs_s + ours_s, holder_s=theirs_s, steps=self._steps() - steps)

    def _steps(self) -> int:
        return int(self.holder.tell("steps")) + sum(user.side.steps for user in self.made.users)

    def one_at_a_time(self, count: int) -> float:
        """Single settlements: of the users' process the turns of the one that settles count, the others share it."""
        self.made.alone_s = 0.0
        for _ in range(count):
            self.made.one()
        self.made.until(settled(self.made), 2)
        return self.made.alone_s

    def in_flight(self, count: int, flying: int) -> float:
        """Settlements with so many always under way."""
        began_s = cpu_s()
        self.made.load(flying, count)
        return cpu_s() - began_s

    def rest(self, *, whole: bool) -> float:
        """Nothing; `whole` where all of the users' process counts."""
        began_s = cpu_s()
        time.sleep(IDLE_S)
        return cpu_s() - began_s if whole else 0.0


def _in_turns(
    towns: list[GrowthTown], act: Callable[[GrowthTown], float], count: int, rounds: int, *, whole: bool
) -> list[dict[str, Any]]:
    """The medians of each town, in ms a settlement."""
    idle: list[list[Spent]] = [[] for _ in towns]
    spent: list[list[Spent]] = [[] for _ in towns]
    for _ in range(IDLE_LOOKS):
        for mine, one in zip(idle, towns, strict=True):
            mine.append(one.spend(partial(one.rest, whole=whole)))
    for _ in range(rounds):
        for mine, one in zip(spent, towns, strict=True):
            mine.append(one.spend(partial(act, one)))
    return [_medians(mine, quiet, count) for mine, quiet in zip(spent, idle, strict=True)]


def _medians(spent: list[Spent], idle: list[Spent], count: int) -> dict[str, Any]:
    quiet = Spent(
        clock_s=median(one.clock_s for one in idle),
        both_s=median(one.both_s for one in idle),
        holder_s=median(one.holder_s for one in idle),
    )
    each = [one.less(quiet) for one in spent]
    return {
        "settlements": count * len(spent),
        "cpu_ms_per_settlement": round(median(one.both_s for one in each) / count * 1000, 2),
        "holder_cpu_ms": round(median(one.holder_s for one in each) / count * 1000, 2),
        "idle_ms_per_s": round(quiet.both_s / quiet.clock_s * 1000, 1),
        "steps": round(median(one.steps for one in spent) / count, 1),
    }


def beside_open(folder: Path, opened: int, count: int) -> list[dict[str, Any]]:
    """Processor time of a settlement beside none that is open, and beside `opened` of them, over both processes."""
    with ExitStack() as stack:
        towns = [
            GrowthTown(*stack.enter_context(town(folder / str(more), OPEN_USERS, open_max=opened + count)))
            for more in (0, opened)
        ]
        for one in towns:
            one.made.load(OPEN_USERS, WARM_UP * ROUND)
        holding = towns[1].made
        for user in holding.users:
            user.keeps = True
        holding.load(OPEN_USERS, opened)
        for user in holding.users:
            user.keeps = False
        act = partial(GrowthTown.in_flight, count=ROUND, flying=OPEN_USERS)
        found = _in_turns(towns, act, ROUND, max(1, count // ROUND), whole=True)
    return [{"open": more} | one for more, one in zip((0, opened), found, strict=True)]


def beside_peers(folder: Path, few: int, many: int, flying: int, count: int) -> list[dict[str, Any]]:
    """Processor time of a settlement among few and among many peers: one at a time, and with `flying` under way."""
    rounds, each = max(1, count // ROUND), max(ROUND, 2 * flying)
    with ExitStack() as stack:
        towns = [GrowthTown(*stack.enter_context(town(folder / str(users), users))) for users in (few, many)]
        for one in towns:
            for _ in range(max(WARM_UP, len(one.made.users))):  # everybody once: a first settlement finds nothing ready
                one.made.one()
        alone = _in_turns(towns, partial(GrowthTown.one_at_a_time, count=ROUND), ROUND, rounds, whole=False)
        act = partial(GrowthTown.in_flight, count=each, flying=flying)
        loaded = _in_turns(towns, act, each, rounds, whole=True)
    return [
        {"peers": users, "in_flight": under_way} | one
        for under_way, found in ((1, alone), (flying, loaded))
        for users, one in zip((few, many), found, strict=True)
    ]
