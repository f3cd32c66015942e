"""Reads the kernel's bound on the system clock's error: ntp_adjtime(2) with modes 0, allowed to any user.

`maxerror` was set by the daemon that disciplines the clock and has grown by 500 ppm since. Some daemons set 0 whatever
the error (systemd-timesyncd does), so a bound below `least_ns` is raised to it.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from agent.timekeeping.hostclock import Paired, paired
from agent.timekeeping.section import ClockSourceSection
from agent.timekeeping.values import Reading, SourceStanding
from settlement.core.fixes import TimeFix, TimeSource

KERNEL_BEST_US = 10.0
"""Smallest bound of this kind of source, us."""

STA_UNSYNC = 0x0040
STA_NANO = 0x2000
TIME_ERROR = 5


class _Timeval(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_usec", ctypes.c_long))


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>, Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", _Timeval),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("spare", ctypes.c_int * 11),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelState:
    """The kernel's clock state; `max_error_ns` covers what is still to be slewed."""

    synchronised: bool
    max_error_ns: int
    status: int
    tai_offset_s: int


def read_state() -> KernelState:
    """Read the kernel's clock state, changing nothing. Raises OSError where the system has no such call."""
    try:
        ask = ctypes.CDLL(None, use_errno=True).ntp_adjtime
    except AttributeError as exc:
        raise OSError("this system has no ntp_adjtime") from exc
    timex = _Timex(modes=0)
    state = int(ask(ctypes.byref(timex)))
    if state < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return state_of(state, status=timex.status, max_error_us=timex.maxerror, offset=timex.offset, tai_s=timex.tai)


def state_of(state: int, *, status: int, max_error_us: int, offset: int, tai_s: int) -> KernelState:
    """Convert the kernel's numbers to units: `offset` is in ns with STA_NANO, else in us."""
    offset_ns = abs(offset) * (1 if status & STA_NANO else 1000)
    return KernelState(
        synchronised=not status & STA_UNSYNC and state != TIME_ERROR,
        max_error_ns=max_error_us * 1000 + offset_ns,
        status=status,
        tai_offset_s=tai_s,
    )


def reading_of(name: str, state: KernelState, pair: Paired, *, least_ns: int) -> Reading:
    """Convert the kernel's state and the host's clocks to a reading."""
    if not state.synchronised:
        note = f"the kernel's clock is unsynchronised (status {state.status:#x})"
        return Reading(name=name, at_ns=pair.mono_ns, standing=SourceStanding.UNSYNCHRONISED, note=note)
    bound_ns = max(state.max_error_ns, least_ns) + pair.slack_ns
    fix = TimeFix(
        earliest_ns=pair.utc_ns - bound_ns, latest_ns=pair.utc_ns + bound_ns, source=TimeSource.KERNEL, trusted=True
    )
    note = f"kernel says {state.max_error_ns} ns at most"
    return Reading(name=name, at_ns=pair.mono_ns, standing=SourceStanding.GOOD, time=fix, note=note)


class KernelSource:
    """Reads the kernel's clock state once every `every_s`."""

    def __init__(self, name: str = "kernel", *, least_ns: int = 5_000_000, every_s: float = 1.0) -> None:
        self.name, self._least_ns, self._every_s = name, least_ns, every_s

    async def run(self, push: Callable[[Reading], None]) -> None:
        """Read until cancelled."""
        while True:
            push(self.ask())
            await asyncio.sleep(self._every_s)

    def ask(self) -> Reading:
        """Read once; returns the reading."""
        try:
            return reading_of(self.name, read_state(), paired(), least_ns=self._least_ns)
        except OSError as exc:
            return Reading(name=self.name, at_ns=paired().mono_ns, standing=SourceStanding.SILENT, note=str(exc))


class KernelClock(ClockSourceSection):
    """The system clock as the kernel knows it; no claim below `least_us` is believed."""

    counts_as: ClassVar[TimeSource] = TimeSource.KERNEL

    kind: Literal["kernel"]
    name: str = "kernel"
    least_us: float = Field(default=5_000.0, ge=0)
    every_s: float = Field(default=1.0, gt=0)

    @property
    def best_us(self) -> float:
        """Smallest bound of this source, us."""
        return max(self.least_us, KERNEL_BEST_US)

    def listening(self, *, drift_ppb: int) -> "KernelSource":
        """Return the source that reads the kernel periodically."""
        del drift_ppb
        return KernelSource(self.name, least_ns=round(self.least_us * 1000), every_s=self.every_s)
