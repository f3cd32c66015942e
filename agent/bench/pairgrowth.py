"""Cost of a settlement beside many peers, or beside many open ones: two towns, measured in turns.

A machine's speed varies within a minute, so nothing is compared with an earlier measurement: the two towns run side by
side, each settles a few times in turn, and the result is the median over turns. The memory that Python's garbage
collector scans is then the same for both.

Only turns in which a party logged something are counted. The other costs of a town, its connections and its nodes'
checks for what is due, grow with time, not with settlements, and on a busy machine a settlement waits. The processes'
total time is reported too.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from agent.bench.sides import Users, cpu_s
from agent.bench.town import ROUND, WARM_UP, BenchHolder, everybody_once, settled, town

OPEN_USERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Processor time of settlements: of counted turns, of the holder's among them, of both processes.

    `steps` are the durable steps of all parties.
    """

    turns_s: float
    holder_s: float
    whole_s: float
    steps: int


@dataclass(frozen=True, slots=True)
class GrowthTown:
    """A holder and its users."""

    holder: BenchHolder
    made: Users

    def spend(self, act: Callable[["GrowthTown"], object]) -> Spent:
        """Return the cost of an action."""
        before = self._so_far()
        act(self)
        after = self._so_far()
        holder_s, users_s, whole_s, steps = (now - then for now, then in zip(after, before, strict=True))
        return Spent(turns_s=holder_s + users_s, holder_s=holder_s, whole_s=whole_s, steps=int(steps))

    def _so_far(self) -> tuple[float, float, float, int]:
        """Return processor times so far of the holder's turns, the users', both processes; and steps of all."""
        worked_s, steps = self.holder.tell("worked")
        sides = [user.side for user in self.made.users]
        whole_s = cpu_s() + self.holder.tell("usage")
        return worked_s, sum(one.worked_s for one in sides), whole_s, steps + sum(one.steps for one in sides)

    def one_at_a_time(self, count: int) -> None:
        """Make `count` settlements one at a time."""
        for _ in range(count):
            self.made.one()
        self.made.until(settled(self.made), 2)

    def in_flight(self, count: int, flying: int) -> None:
        """Make `count` settlements with `flying` always under way."""
        self.made.load(flying, count)
        self.made.until(settled(self.made), 2)


def _in_turns(
    towns: list[GrowthTown], act: Callable[[GrowthTown], object], count: int, rounds: int
) -> list[dict[str, Any]]:
    """Return the medians of each town, in ms per settlement."""
    spent: list[list[Spent]] = [[] for _ in towns]
    for _ in range(rounds):
        for mine, one in zip(spent, towns, strict=True):
            mine.append(one.spend(act))
    return [
        {
            "settlements": count * rounds,
            "cpu_ms_per_settlement": round(median(one.turns_s for one in mine) / count * 1000, 2),
            "holder_cpu_ms": round(median(one.holder_s for one in mine) / count * 1000, 2),
            "whole_cpu_ms": round(median(one.whole_s for one in mine) / count * 1000, 2),
            "steps": round(median(one.steps for one in mine) / count, 1),
        }
        for mine in spent
    ]


def beside_open(folder: Path, opened: int, count: int) -> list[dict[str, Any]]:
    """Measure processor time of a settlement with none open, and with `opened` of them open, in turns."""
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
        found = _in_turns(towns, act, ROUND, max(1, count // ROUND))
    return [{"open": more} | one for more, one in zip((0, opened), found, strict=True)]


def beside_peers(folder: Path, few: int, many: int, flying: int, count: int) -> list[dict[str, Any]]:
    """Measure processor time of a settlement among few and many peers: one at a time, and with `flying` under way."""
    rounds, each = max(1, count // ROUND), max(ROUND, 2 * flying)
    with ExitStack() as stack:
        towns = [GrowthTown(*stack.enter_context(town(folder / str(users), users))) for users in (few, many)]
        for one in towns:
            everybody_once(one.made)
        alone = _in_turns(towns, partial(GrowthTown.one_at_a_time, count=ROUND), ROUND, rounds)
        act = partial(GrowthTown.in_flight, count=each, flying=flying)
        loaded = _in_turns(towns, act, each, rounds)
    return [
        {"peers": users, "in_flight": under_way} | one
        for under_way, found in ((1, alone), (flying, loaded))
        for users, one in zip((few, many), found, strict=True)
    ]
