"""Time of a settlement between two processes on loopback, beside its lower bound, measured in turns in one run."""

import statistics
import time
from pathlib import Path
from typing import Any

from agent.bench.profiled import shares
from agent.bench.sides import PROFILE, BenchError, BenchFloor, Trip, Users, cpu_s
from agent.bench.town import BARE, MODES, ROUND, WARM_UP, BenchHolder, Mode, everybody_once, settled, town
from settlement.chain.credentials import Subject
from settlement.pair.coordinator import EACH_MAX

COSIGNED_MAX = EACH_MAX // ROUND * ROUND - ROUND
"""Most settlements of one town with a co-signer, besides warm-up."""


def _trips(holder: BenchHolder, users: Users, mode: Mode) -> tuple[Trip, ...]:
    """Return the messages of the lower bound: as many bytes as those of the settlement just made."""
    user = users.users[(users.slot - 1) % len(users.users)]
    theirs = holder.tell("sizes")
    request, accept = user.side.sizes_of("request"), user.side.sizes_of("accept")
    further = int(mode.witnesses > 0) + int(mode.cosigned)
    return (
        Trip(asked=request, answered=theirs["grant"], more=int(mode.enveloped)),
        *(Trip(asked=accept, answered=request) for _ in range(further)),
        Trip(asked=accept, answered=theirs["confirm"], head=True),
    )


def _floor(holder: BenchHolder, users: Users, trips: tuple[Trip, ...], count: int) -> list[float]:
    """Return the seconds of `count` bare exchanges."""
    user = users.users[0]
    other = user.side.party.registry.admit_chain(users.spec.chains["holder"])
    if not isinstance(other, Subject):
        raise BenchError(str(other))
    holder.tell("floor", (trips, count))
    floor = BenchFloor.of(user.side, other, users.spec.folder / "user-0")
    took_s: list[float] = []
    for _ in range(count):
        began_s = time.perf_counter()
        floor.ask(trips)
        took_s.append(time.perf_counter() - began_s)
    floor.db.close()
    return took_s


def _quantile_ms(values: list[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000, 3)


def latency(folder: Path, users: int, count: int, mode: Mode = BARE) -> dict[str, Any]:
    """Measure REQUEST to permit of single settlements, in turns with the bound; `cpu_ms` is over both processes."""
    ours: list[float] = []
    floor: list[float] = []
    ours_cpu_s = floor_cpu_s = 0.0
    sizes: tuple[Trip, ...] = ()
    while len(ours) < count:
        # A co-signer keeps a limited number of one holder's cells until their windows are over: then a new town.
        most = COSIGNED_MAX if mode.cosigned else count
        with town(folder / str(len(ours)), users, mode) as (holder, made):
            everybody_once(made)
            sizes = trips = _trips(holder, made, mode)
            _floor(holder, made, trips, WARM_UP)
            for _ in range(0, min(most, count - len(ours)), ROUND):
                began_s = cpu_s() + holder.tell("usage")
                ours += [made.one() for _ in range(ROUND)]
                made.until(settled(made), 2)
                between_s = cpu_s() + holder.tell("usage")
                floor += _floor(holder, made, trips, ROUND)
                ended_s = cpu_s() + holder.tell("usage")
                ours_cpu_s, floor_cpu_s = ours_cpu_s + between_s - began_s, floor_cpu_s + ended_s - between_s
    ratio = statistics.median(ours) / statistics.median(floor)
    return {
        "mode": mode.name,
        "peers": users,
        "settlements": len(ours),
        "message_bytes": {
            "request": sizes[0].asked,
            "grant": sizes[0].answered,
            "accept": sizes[-1].asked,
            "confirm": sizes[-1].answered,
        },
        "p50_ms": round(statistics.median(ours) * 1000, 3),
        "p99_ms": _quantile_ms(ours, 0.99),
        "floor_p50_ms": round(statistics.median(floor) * 1000, 3),
        "floor_p99_ms": _quantile_ms(floor, 0.99),
        "p50_over_floor": round(ratio, 2),
        "cpu_ms": round(ours_cpu_s / len(ours) * 1000, 2),
        "floor_cpu_ms": round(floor_cpu_s / len(floor) * 1000, 2),
    }


def modes(folder: Path, users: int, count: int) -> list[dict[str, Any]]:
    """Return a row for each mode, with the ratio of its median to the bare one's in the same run."""
    rows = [latency(folder / f"mode-{number}", users, count, mode) for number, mode in enumerate((BARE, *MODES))]
    return [row | {"p50_over_bare": round(row["p50_ms"] / rows[0]["p50_ms"], 2)} for row in rows]


def profile(folder: Path, users: int, count: int, mode: Mode) -> dict[str, Any]:
    """Profile the processor time of single settlements, both processes together; slower than without a profile."""
    with town(folder, users, mode) as (holder, made):
        for _ in range(WARM_UP):
            made.one()
        holder.tell("profile", True)
        PROFILE.begin()
        for _ in range(count):
            made.one()
        parts = shares((PROFILE.end(), holder.tell("profile", False)))
    return {"mode": mode.name, "settlements": count, "percent": parts}


def load(folder: Path, users: int, in_flight: int, count: int) -> dict[str, Any]:
    """Measure settlements per second with `in_flight` always under way."""
    with town(folder, users) as (_, made):
        everybody_once(made)
        spent_s = made.load(in_flight, count)
    return {
        "peers": users,
        "in_flight": in_flight,
        "settlements": count,
        "settlements_per_s": round(count / spent_s, 1),
        "put_off": sum(user.put_off for user in made.users),
    }
