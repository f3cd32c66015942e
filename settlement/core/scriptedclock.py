"""Scripted clock for simulated radios: a pure function from the host's monotonic time to an interval of UTC.

All processes of a trial share the mapping; each node's clock adds its own error and its own script of faults.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
NS = 1_000_000_000
HOLDOVER_PPB = 50_000
"""Rate at which the stated bound widens without fixes, in ppb: the drift of an oscillator that nobody measured."""


class ClockStatus(Enum):
    """Status that the simulated time receiver reports."""

    LOCKED = "locked"
    HOLDOVER = "holdover"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """An outage: no fixes from `from_s` to before `to_s`; with `lost` the receiver gives no time at all."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    from_s: Annotated[float, Field(ge=0)]
    to_s: Annotated[float, Field(gt=0)]
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A receiver fault: from `at_s` on its time is off by `by_ns` more, which its stated bound does not include."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    at_s: Annotated[float, Field(ge=0)]
    by_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SimClock:
    """A node's clock. Scripted seconds count from monotonic `zero_ns`, at which UTC is `utc_at_zero_ns`.

    `error_ns` is how far the locked clock is off, `bound_ns` what it claims at most; without fixes the error grows by
    `drift_ppb` and the claim by `holdover_ppb`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    utc_at_zero_ns: int
    zero_ns: int = 0
    error_ns: int = 0
    bound_ns: Annotated[int, Field(ge=0)] = 1_000
    drift_ppb: int = 0
    holdover_ppb: Annotated[int, Field(ge=0)] = HOLDOVER_PPB
    outages: tuple[Outage, ...] = ()
    jumps: tuple[Jump, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """One reading of a node's clock: an interval in ns since the Unix epoch, and the receiver's status."""

    earliest_ns: int
    latest_ns: int
    status: ClockStatus


def true_utc_ns(clock: SimClock, monotonic_ns: int) -> int:
    """Return the trial's true UTC in ns, which no node knows exactly."""
    return clock.utc_at_zero_ns + monotonic_ns - clock.zero_ns


def read(clock: SimClock, monotonic_ns: int) -> ClockReading:
    """Return the node's UTC interval at an instant of the host's monotonic clock."""
    since_ns = monotonic_ns - clock.zero_ns
    outage = next((one for one in clock.outages if one.from_s * NS <= since_ns < one.to_s * NS), None)
    adrift_ns = 0 if outage is None else since_ns - round(outage.from_s * NS)
    jumped_ns = sum(one.by_ns for one in clock.jumps if since_ns >= one.at_s * NS)
    off_ns = clock.error_ns + jumped_ns + adrift_ns * clock.drift_ppb // NS
    bound_ns = clock.bound_ns + -(-adrift_ns * clock.holdover_ppb // NS)
    middle_ns = true_utc_ns(clock, monotonic_ns) + off_ns
    return ClockReading(earliest_ns=middle_ns - bound_ns, latest_ns=middle_ns + bound_ns, status=_status(outage))


def _status(outage: Outage | None) -> ClockStatus:
    if outage is None:
        return ClockStatus.LOCKED
    return ClockStatus.LOST if outage.lost else ClockStatus.HOLDOVER
