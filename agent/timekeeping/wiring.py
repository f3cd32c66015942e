"""From configuration to a node's clock."""

import time
from typing import assert_never

from agent.config import ChronyClock, ClockSource, GpsdClock, KernelClock, NodeConfig, SimulatedClock
from agent.hardware import profile_of
from agent.timekeeping.chrony import ChronySource
from agent.timekeeping.clock import ClockPlan
from agent.timekeeping.gpsd import GpsdPlan, GpsdSource
from agent.timekeeping.keeper import Source, Timekeeper
from agent.timekeeping.kernel import KernelSource
from agent.timekeeping.place import PlacePlan
from agent.timekeeping.simulated import SimulatedSource
from settlement.fixes import PositionFix, PositionSource

NS = 1_000_000_000
GIVEN = {"surveyed": PositionSource.SURVEYED, "simulated": PositionSource.SIMULATED}


def clock_plan(config: NodeConfig) -> ClockPlan:
    """What the clock is held to. Simulated time is for simulated radios only. Raises ConfigError."""
    clock = config.clock
    return ClockPlan(
        budget_ns=round(clock.budget_us * 1000),
        drift_ppb=profile_of(config.radio).timing.host_drift_ppb if clock.drift_ppb is None else clock.drift_ppb,
        agree_ns=round(clock.agree_s * NS),
        stale_ns=round(clock.stale_s * NS),
        holdover_ns=round(clock.holdover_s * NS),
        need=clock.need,
        simulated_ok=not config.radio.real,
    )


def place_plan(config: NodeConfig) -> PlacePlan:
    """What the position is held to."""
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


def _running(source: ClockSource) -> Source | None:
    match source:
        case GpsdClock():
            serial_ns = None if source.serial_ms is None else round(source.serial_ms * 1e6)
            plan = GpsdPlan(satellites_min=source.satellites_min, serial_ns=serial_ns)
            return GpsdSource(source.name, plan, host=source.host, port=source.port)
        case ChronyClock():
            return ChronySource(source.name, command=source.command, every_s=source.every_s)
        case KernelClock():
            return KernelSource(source.name, least_ns=round(source.least_us * 1000), every_s=source.every_s)
        case SimulatedClock():
            return None
        case _:
            assert_never(source)


def timekeeper(config: NodeConfig) -> Timekeeper:
    """The clock of a node, listening."""
    running = [made for source in config.clock.sources if (made := _running(source)) is not None]
    asked = [SimulatedSource(s.name, s.clock) for s in config.clock.sources if isinstance(s, SimulatedClock)]
    keeper = Timekeeper(
        clock_plan(config), place_plan(config), monotonic_ns=time.monotonic_ns, asked=asked, running=running
    )
    keeper.start()
    return keeper
