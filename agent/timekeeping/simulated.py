"""Time and place of a simulated node: the simulated receiver's reading as a fix."""

from collections.abc import Callable

from agent.config import NodeConfig
from settlement.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from sim.clock import ClockStatus, SimClock, read

SOURCES = {"surveyed": PositionSource.SURVEYED, "simulated": PositionSource.SIMULATED}


def time_at(clock: SimClock, monotonic_ns: int) -> TimeFix:
    """The node's interval of UTC at an instant of the monotonic clock."""
    reading = read(clock, monotonic_ns)
    return TimeFix(
        earliest_ns=reading.earliest_ns,
        latest_ns=reading.latest_ns,
        source=TimeSource.SIMULATED,
        trusted=reading.status is not ClockStatus.LOST,
        status=reading.status.value,
    )


def fixer(config: NodeConfig, monotonic_ns: Callable[[], int]) -> Callable[[], Fix]:
    """What tells the node here and now."""
    place = config.place
    position = PositionFix(
        lat_e7=place.lat_e7,
        lon_e7=place.lon_e7,
        radius_mm=place.radius_mm,
        source=SOURCES[place.source],
        trusted=True,
    )
    return lambda: Fix(time=time_at(config.clock, monotonic_ns()), position=position)
