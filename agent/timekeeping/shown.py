"""A clock's state for people and programs: plain values, and one line with a bar."""

from typing import Any

from agent.timekeeping.keeper import KeeperState, SourceState

BAR = 40


def plain(state: KeeperState) -> dict[str, Any]:
    """Return the state as JSON values; ns and mm, None where unknown."""
    verdict, position = state.verdict, state.position
    return {
        "trusted": verdict.trusted,
        "reason": verdict.cause.value,
        "source": verdict.source.name.lower(),
        "bound_ns": verdict.reach_ns,
        "budget_ns": state.budget_ns,
        "holdover_left_ns": verdict.holdover_left_ns,
        "earliest_ns": verdict.interval.earliest_ns if verdict.interval else None,
        "latest_ns": verdict.interval.latest_ns if verdict.interval else None,
        "position": {
            "trusted": position.trusted,
            "reason": position.status,
            "source": position.source.name.lower(),
            "lat_deg": position.lat_e7 / 1e7,
            "lon_deg": position.lon_e7 / 1e7,
            "radius_mm": position.radius_mm,
            "budget_mm": state.position_budget_mm,
        },
        "sources": [_source(source) for source in state.sources],
    }


def _source(source: SourceState) -> dict[str, Any]:
    return {
        "name": source.name,
        "kind": source.kind,
        "standing": source.standing,
        "live": source.live,
        "age_ns": source.age_ns,
        "bound_ns": source.bound_ns,
        "satellites": source.satellites,
        "note": source.note,
    }


def duration(ns: int | None) -> str:
    """Return nanoseconds as text in the most readable unit."""
    if ns is None:
        return "unknown"
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if abs(ns) >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns} ns"


def line(clock: dict[str, Any]) -> str:
    """Return one line of `clock watch`: the bound as a part of the budget, and the cause."""
    bound_ns, budget_ns = clock["bound_ns"], clock["budget_ns"]
    filled = BAR if bound_ns is None else min(BAR, -(-bound_ns * BAR // budget_ns))
    bar = "#" * filled + "." * (BAR - filled)
    state = "trusted  " if clock["trusted"] else "UNTRUSTED"
    return f"{state} |{bar}| {duration(bound_ns)} of {duration(budget_ns)}  {clock['reason']}"
