"""Time and place as intervals: each fix states a value and the bound of its error.

`after` and `before` are true only when they hold for the whole interval; when neither holds the question is undecided,
and undecided is refused. Distances are geodesic on WGS-84 (Karney 2013, through geographiclib).
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from geographiclib.geodesic import Geodesic

from settlement.core.reasons import Reason, Refusal, refuse


class TimeSource(IntEnum):
    """Source of a time fix; part of the record format. NONE: the clock was not trusted; no rule accepts that."""

    NONE = 0
    GPS = 1
    CHRONY = 2
    KERNEL = 3
    SIMULATED = 4


class PositionSource(IntEnum):
    """Source of a position fix; part of the record format. NONE: the position was not trusted; no rule accepts that."""

    NONE = 0
    GPS = 1
    SURVEYED = 2
    SIMULATED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFix:
    """An interval of UTC, in ns since the Unix epoch, that holds the true instant if `trusted`."""

    earliest_ns: int
    latest_ns: int
    source: TimeSource
    trusted: bool
    status: str = "ok"

    def after(self, instant_ns: int) -> bool:
        """True when the interval is trusted and wholly later than the instant (UTC, ns)."""
        return self.trusted and self.earliest_ns > instant_ns

    def before(self, instant_ns: int) -> bool:
        """True when the interval is trusted and wholly earlier than the instant (UTC, ns)."""
        return self.trusted and self.latest_ns < instant_ns

    @property
    def bound_ns(self) -> int:
        """Half the width of the interval, ns."""
        return (self.latest_ns - self.earliest_ns + 1) // 2

    @property
    def middle_ns(self) -> int:
        """Middle of the interval (UTC, ns), for display and for naming instants in the future."""
        return (self.latest_ns + self.earliest_ns) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionFix:
    """A point on WGS-84 with an error radius that holds the true place if `trusted`."""

    lat_e7: int
    lon_e7: int
    radius_mm: int
    source: PositionSource
    trusted: bool
    status: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A node's time interval and position at one moment."""

    time: TimeFix
    position: PositionFix


@lru_cache(maxsize=1024)
def distance_mm(lat_a_e7: int, lon_a_e7: int, lat_b_e7: int, lon_b_e7: int) -> int:
    """Return the geodesic distance on WGS-84 in mm, rounded up. Arguments in degrees x 1e7."""
    solution = Geodesic.WGS84.Inverse(lat_a_e7 / 1e7, lon_a_e7 / 1e7, lat_b_e7 / 1e7, lon_b_e7 / 1e7, Geodesic.DISTANCE)
    return int(float(solution["s12"]) * 1000) + 1


def time_inside(time: TimeFix, start_ns: int, end_ns: int, clause: str) -> Refusal | None:
    """Refuse unless the whole time interval is at or after `start_ns` and before `end_ns` (UTC); None when it is."""
    if not time.trusted:
        return refuse(Reason.TIME_UNTRUSTED, clause, time.status, "a trusted clock")
    if start_ns <= time.earliest_ns <= time.latest_ns < end_ns:
        return None
    measured = f"[{time.earliest_ns}, {time.latest_ns}] ns"
    if time.latest_ns < start_ns:
        return refuse(Reason.NOT_YET, clause, measured, f">= {start_ns} ns")
    if time.earliest_ns >= end_ns:
        return refuse(Reason.EXPIRED, clause, measured, f"< {end_ns} ns")
    return refuse(Reason.TIME_UNDECIDED, clause, measured, f"wholly inside [{start_ns}, {end_ns}) ns")


def deadline_open(time: TimeFix, deadline_ns: int, clause: str) -> Refusal | None:
    """Refuse unless the whole time interval is before the deadline (UTC, ns); None when it is."""
    return time_inside(time, 0, deadline_ns, clause)


def place_inside(position: PositionFix, *, lat_e7: int, lon_e7: int, radius_mm: int, clause: str) -> Refusal | None:
    """Refuse unless the whole error disc of a position lies inside a circle; None when it does."""
    if not position.trusted:
        return refuse(Reason.POSITION_UNTRUSTED, clause, position.status, "a trusted position")
    centre_mm = distance_mm(position.lat_e7, position.lon_e7, lat_e7, lon_e7)
    if centre_mm + position.radius_mm <= radius_mm:
        return None
    measured = f"{centre_mm} mm from the centre, known to {position.radius_mm} mm"
    if centre_mm - position.radius_mm > radius_mm:
        return refuse(Reason.SPATIAL_OUTSIDE, clause, measured, f"<= {radius_mm} mm")
    return refuse(Reason.SPATIAL_UNDECIDED, clause, measured, f"<= {radius_mm} mm at the farthest")
