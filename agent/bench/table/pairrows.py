"""Rows of the benchmark table about settlements: latency beside its floor, cost with peers, rate."""

from collections.abc import Iterator
from typing import Any

from agent.bench.table.benchrow import BenchRow, Target

AREA = "Settlement, request to permit, loopback"
OVER_FLOOR, WITNESSED_OVER = 1.5, 1.2
FLAT, PER_SECOND = 1.1, 1000.0
FLOOR = "its signatures, round trips and commits, bare"


def pair_rows(found: Any) -> Iterator[BenchRow]:
    """From `bench settlement`: the bare settlement, each mode, growth with peers, rate."""
    profiles = {one["mode"]: one["percent"] for one in found["profile"]}
    for one in found["latency"]:
        yield _latency(one, f"{one['mode']}, {one['peers']} peers", profiles)
    modes = found["modes"]
    bare = modes[0]
    for one in modes[1:]:
        yield _latency(one, one["mode"], profiles)
        if one["mode"] == "witnessed":
            yield _witnessed(one, bare)
    yield from _alone(found["latency"])
    yield from _growth(found["load"])
    none, many = found["open"]
    yield BenchRow(
        area=AREA,
        what=f"CPU of a settlement beside {many['open']:,} open ones",
        unit="ms",
        ours=many["cpu_ms_per_settlement"],
        target=Target(limit=FLAT, by_ratio=True),
        anchor="beside none",
        beside=none["cpu_ms_per_settlement"],
        note=f"{many['settlements']} settlements each, over both processes; one user's limit of open ones lifted",
    )
    for one in found["load"]:
        yield BenchRow(
            area=AREA,
            what=f"settlements a second, {one['in_flight']} in flight, {one['peers']} peers",
            unit="/s",
            ours=one["settlements_per_s"],
            target=Target(limit=PER_SECOND, least=True),
            note=f"{one['settlements']} settlements on both sides of this machine",
        )


def _latency(one: Any, what: str, profiles: dict[str, dict[str, float]]) -> BenchRow:
    percent = profiles.get(one["mode"], {})
    spent = ", ".join(f"{kind} {share:.0f}%" for kind, share in percent.items())
    return BenchRow(
        area=AREA,
        what=f"p50, {what}",
        unit="ms",
        ours=one["p50_ms"],
        target=Target(limit=OVER_FLOOR, by_ratio=True),
        anchor=FLOOR,
        beside=one["floor_p50_ms"],
        note=f"p99 {one['p99_ms']:g} ms, floor's {one['floor_p99_ms']:g}; CPU {one['cpu_ms']:g} ms beside "
        f"{one['floor_cpu_ms']:g}; {one['settlements']} settlements" + (f"; profile: {spent}" if spent else ""),
    )


def _witnessed(one: Any, bare: Any) -> BenchRow:
    """A witness adds a round trip, and what that takes is what it adds to the floor."""
    trip_ms = max(0.0, one["floor_p50_ms"] - bare["floor_p50_ms"])
    return BenchRow(
        area=AREA,
        what="p50, witnessed, less its further round trip",
        unit="ms",
        ours=round(one["p50_ms"] - trip_ms, 3),
        target=Target(limit=WITNESSED_OVER, by_ratio=True),
        anchor="p50, bare",
        beside=bare["p50_ms"],
        note=f"the round trip took the floor {trip_ms:.2f} ms",
    )


def _alone(latency: Any) -> Iterator[BenchRow]:
    """What a settlement costs where no other is under way: no commit is shared, however many peers there are."""
    for few, many in _few_and_many(latency):
        note = (
            f"{many['settlements']} settlements each; the holder's process and the turns of its user: with "
            f"all {many['peers']} users, which share a process, {many['cpu_ms']:g} beside {few['cpu_ms']:g} ms"
        )
        yield _at_many("one at a time", few, many, "cpu_of_two_ms", note)


def _growth(load: Any) -> Iterator[BenchRow]:
    for few, many in _few_and_many(load):
        shared = [f"{one['in_flight'] / one['peers']:g} at {one['peers']} peers" for one in (few, many)]
        note = f"settlements of one user under way, which share the commits of its log: {', '.join(shared)}"
        yield _at_many(f"{many['in_flight']} in flight", few, many, "cpu_ms_per_settlement", note)


def _few_and_many(rows: Any) -> Iterator[tuple[Any, Any]]:
    """The rows with the fewest and with the most peers; nothing where they are the same."""
    ordered = sorted(rows, key=lambda one: int(one["peers"]))
    if len(ordered) > 1:
        yield ordered[0], ordered[-1]


def _at_many(how: str, few: Any, many: Any, cost: str, note: str) -> BenchRow:
    return BenchRow(
        area=AREA,
        what=f"CPU of a settlement at {many['peers']} peers, {how}",
        unit="ms",
        ours=many[cost],
        target=Target(limit=FLAT, by_ratio=True),
        anchor=f"at {few['peers']} peers",
        beside=few[cost],
        note=note,
    )
