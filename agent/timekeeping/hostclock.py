"""Reads the host's two clocks together: maps the system's UTC to the monotonic clock, and back."""

import time
from collections.abc import Callable
from dataclasses import dataclass

TRIES = 3


def boottime_ns() -> int:
    """Return the time in ns since the host started, suspended time included; CLOCK_MONOTONIC without CLOCK_BOOTTIME."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The system clock (ns since the Unix epoch) at a monotonic instant known to `slack_ns` to either side."""

    mono_ns: int
    utc_ns: int
    slack_ns: int


def paired(monotonic_ns: Callable[[], int] = time.monotonic_ns, system_ns: Callable[[], int] = time.time_ns) -> Paired:
    """Read the system clock between two readings of the monotonic one; the tightest of a few tries is returned."""
    found: list[tuple[int, int, int]] = []
    for _ in range(TRIES):
        before_ns = monotonic_ns()
        utc_ns = system_ns()
        found.append((monotonic_ns() - before_ns, before_ns, utc_ns))
    width_ns, before_ns, utc_ns = min(found)
    return Paired(mono_ns=before_ns + width_ns // 2, utc_ns=utc_ns, slack_ns=width_ns // 2 + 1)
