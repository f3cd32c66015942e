"""Builds a node's clock from its configuration."""

import time

from agent.config.hardware import profile_of
from agent.config.settings import NodeConfig
from agent.timekeeping.clock import ClockPlan
from agent.timekeeping.hostclock import boottime_ns
from agent.timekeeping.keeper import Timekeeper
from agent.timekeeping.memory import AHEAD_NS, BUILT_NS, TimeMemory
from agent.timekeeping.place import PlacePlan
from settlement.core.fixes import PositionFix, PositionSource

NS = 1_000_000_000
GIVEN = {"surveyed": PositionSource.SURVEYED, "simulated": PositionSource.SIMULATED}


def clock_plan(config: NodeConfig, *, not_before_ns: int = 0, memory: TimeMemory | None = None) -> ClockPlan:
    """Return the limits and sources of the clock; `not_before_ns` is the newest record's time.

    Simulated time is for simulated radios only. Raises ConfigError.
    """
    clock = config.clock
    return ClockPlan(
        budget_ns=round(clock.budget_us * 1000),
        drift_ppb=profile_of(config.radio).timing.host_drift_ppb if clock.drift_ppb is None else clock.drift_ppb,
        agree_ns=round(clock.agree_s * NS),
        stale_ns=round(clock.stale_s * NS),
        holdover_ns=round(clock.holdover_s * NS),
        need=clock.need,
        simulated_ok=not config.radio.real,
        not_before_ns=max(BUILT_NS, not_before_ns, memory.known() if memory else 0) if config.radio.real else 0,
        not_after_ns=BUILT_NS + AHEAD_NS if config.radio.real else 1 << 62,
        host_tolerance_ns=round(clock.system_clock_within_s * NS) if config.radio.real else None,
    )


def memory_of(config: NodeConfig, process: str = "agent") -> TimeMemory | None:
    """Return the file in which a process stores the latest time it was sure of; None where time is simulated."""
    return TimeMemory(config.folder / f"{process}.time") if config.radio.real else None


def place_plan(config: NodeConfig) -> PlacePlan:
    """Return the limits on the node's position."""
    place = config.place
    given = None
    if place.source in GIVEN:
        given = PositionFix(
            lat_e7=place.lat_e7,
            lon_e7=place.lon_e7,
            radius_mm=place.radius_mm,
            source=GIVEN[place.source],
            trusted=True,
        )
    return PlacePlan(
        surveyed=given,
        budget_mm=place.budget_mm,
        speed_mm_per_s=place.speed_mm_per_s,
        agree_ns=round(config.clock.agree_s * NS),
        stale_ns=round(config.clock.stale_s * NS),
        simulated_ok=not config.radio.real,
    )


def timekeeper(config: NodeConfig, *, process: str = "", not_before_ns: int = 0) -> Timekeeper:
    """Build the clock of a node, connected to its sources.

    `process` ("agent", "warden") names the process whose time memory is used; none is kept without.
    """
    memory = memory_of(config, process) if process else None
    plan = clock_plan(config, not_before_ns=not_before_ns, memory=memory)
    sources = config.clock.sources
    running = [made for one in sources if (made := one.listening(drift_ppb=plan.drift_ppb)) is not None]
    asked = [said for one in sources if (said := one.asked()) is not None]
    keeper = Timekeeper(
        plan,
        place_plan(config),
        monotonic_ns=time.monotonic_ns,
        boottime_ns=boottime_ns,
        memory=memory,
        asked=asked,
        running=running,
    )
    keeper.start()
    return keeper
