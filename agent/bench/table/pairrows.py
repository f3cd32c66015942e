"""Rows of the benchmark table on settlements: latency beside its lower bound, cost with peers, rate."""

from collections.abc import Iterator
from typing import Any

from agent.bench.table.benchrow import BenchRow, Target

AREA = "Settlement, request to permit, loopback"
OVER_FLOOR, WITNESSED_OVER = 1.5, 1.2
FLAT, PER_SECOND = 1.1, 1000.0
FLOOR = "its signatures, round trips and commits, bare"


def pair_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench settlement`: bare settlement, each mode, growth with peers, rate."""
    profiles = {one["mode"]: one["percent"] for one in found["profile"]}
    for one in found["latency"]:
        yield _latency(one, f"{one['mode']}, {one['peers']} peers", profiles)
    modes = found["modes"]
    bare = modes[0]
    for one in modes[1:]:
        yield _latency(one, one["mode"], profiles)
        if one["mode"] == "witnessed":
            yield _witnessed(one, bare)
    yield from _growth(found["growth"])
    none, many = found["open"]
    yield BenchRow(
        area=AREA,
        what=f"CPU of a settlement beside {many['open']:,} open ones",
        unit="ms",
        ours=many["cpu_ms_per_settlement"],
        target=Target(limit=FLAT, by_ratio=True),
        anchor="beside none",
        beside=none["cpu_ms_per_settlement"],
        note=f"{_in_turns(none, many)}; one user's limit of open ones lifted",
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
    """Return the row of a witness's cost: it adds a round trip, compared with that of the lower bound."""
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


def _in_turns(few: Any, many: Any) -> str:
    return (
        f"{many['settlements']} settlements each, in turns, median of the turns; the turns that log something, of them "
        f"the holder's {many['holder_cpu_ms']:g} beside {few['holder_cpu_ms']:g} ms; "
        f"both processes in all {many['whole_cpu_ms']:g} beside {few['whole_cpu_ms']:g} ms"
    )


def _growth(rows: Any) -> Iterator[BenchRow]:
    """Yield the cost of a settlement among many peers: one at a time, without shared commits, and many at once."""
    for few, many in zip(rows[::2], rows[1::2], strict=True):
        flying = many["in_flight"]
        how, note = "one at a time", _in_turns(few, many)
        if flying > 1:
            shared = [f"{flying / one['peers']:g} at {one['peers']} peers" for one in (few, many)]
            note += f"; settlements of one user under way, which share the commits of its log: {', '.join(shared)}; "
            note += f"durable steps a settlement {many['steps']:g} beside {few['steps']:g}"
            how = f"{flying} in flight"
        yield BenchRow(
            area=AREA,
            what=f"CPU of a settlement at {many['peers']} peers, {how}",
            unit="ms",
            ours=many["cpu_ms_per_settlement"],
            target=Target(limit=FLAT, by_ratio=True),
            anchor=f"at {few['peers']} peers",
            beside=few["cpu_ms_per_settlement"],
            note=note,
        )
