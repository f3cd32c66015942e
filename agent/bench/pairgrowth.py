"""What a settlement costs beside many peers, or beside many open ones: two towns, measured in turns of a few.

A machine is never as fast for a minute on end. So nothing is compared with what was measured a while ago: the two towns
stand beside each other, each settles a few times in turn, and what is told is the median of these turns. The memory
that Python looks through for what can go is then the same for both.
"""

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agent.bench.pair import OPEN_USERS, ROUND, WARM_UP, BenchHolder, settled, town
from agent.bench.sides import Users, cpu_s

Spent = tuple[float, float]
"""Processor time of some settlements: of all that took part in them, and of the holder's process alone."""
Town = tuple[BenchHolder, Users]


def _one_at_a_time(holder: BenchHolder, made: Users, count: int) -> Spent:
    """The holder's process and the turns of the user that settles: idle users share a process with that one."""
    began_s, made.alone_s = holder.tell("usage"), 0.0
    for _ in range(count):
        made.one()
    made.until(settled(made), 2)
    theirs_s = holder.tell("usage") - began_s
    return theirs_s + made.alone_s, theirs_s


def _in_flight(holder: BenchHolder, made: Users, count: int, flying: int) -> Spent:
    """Both processes."""
    theirs_s, ours_s = holder.tell("usage"), cpu_s()
    made.load(flying, count)
    theirs_s = holder.tell("usage") - theirs_s
    return theirs_s + cpu_s() - ours_s, theirs_s


def _in_turns(towns: list[Town], spend: Callable[[BenchHolder, Users], Spent], count: int, rounds: int) -> list[Any]:
    """The medians of each town, in ms a settlement."""
    spent: list[list[Spent]] = [[] for _ in towns]
    for _ in range(rounds):
        for mine, (holder, made) in zip(spent, towns, strict=True):
            mine.append(spend(holder, made))
    return [
        {
            "settlements": count * rounds,
            "cpu_ms_per_settlement": round(statistics.median(both for both, _ in mine) / count * 1000, 2),
            "holder_cpu_ms": round(statistics.median(theirs for _, theirs in mine) / count * 1000, 2),
        }
        for mine in spent
    ]


def beside_open(folder: Path, opened: int, count: int) -> list[dict[str, Any]]:
    """Processor time of a settlement beside none that is open, and beside `opened` of them, over both processes."""
    rounds = max(1, count // ROUND)
    with ExitStack() as stack:
        towns = [
            stack.enter_context(town(folder / str(more), OPEN_USERS, open_max=opened + count)) for more in (0, opened)
        ]
        for _, made in towns:
            made.load(OPEN_USERS, WARM_UP * ROUND)
        _, holding = towns[1]
        for user in holding.users:
            user.keeps = True
        holding.load(OPEN_USERS, opened)
        for user in holding.users:
            user.keeps = False
        found = _in_turns(towns, lambda holder, made: _in_flight(holder, made, ROUND, OPEN_USERS), ROUND, rounds)
    return [{"open": more} | one for more, one in zip((0, opened), found, strict=True)]


def beside_peers(folder: Path, few: int, many: int, flying: int, count: int) -> list[dict[str, Any]]:
    """Processor time of a settlement among few and among many peers: one at a time, and with `flying` under way."""
    rounds, each = max(1, count // ROUND), max(ROUND, 2 * flying)
    with ExitStack() as stack:
        towns = [stack.enter_context(town(folder / str(users), users)) for users in (few, many)]
        for _, made in towns:
            for _ in range(max(WARM_UP, len(made.users))):  # everybody once: a first settlement finds nothing ready
                made.one()
        alone = _in_turns(towns, lambda holder, made: _one_at_a_time(holder, made, ROUND), ROUND, rounds)
        loaded = _in_turns(towns, lambda holder, made: _in_flight(holder, made, each, flying), each, rounds)
    return [
        {"peers": users, "in_flight": under_way} | one
        for under_way, found in ((1, alone), (flying, loaded))
        for users, one in zip((few, many), found, strict=True)
    ]
