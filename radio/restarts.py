"""Restart and retry delays that double with each failure, up to a limit.

A process that ends at once each time (its port is taken, its file does not read) would take half a core to start for
hours; a neighbour's service that is down would be asked thousands of times.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

Unit = TypeVar("Unit", int, float)
FIRST_S: Final = 1.0
MOST_S: Final = 60.0
"""The longest delay, s; a process that ran for longer starts again with the shortest."""


def pause_of(failures: int, first: Unit, most: Unit) -> Unit:
    """The delay after a number of failures in a row, in the unit of `first`: doubled each time, `most` at most.

    After no failure it is the first one as well.
    """
    return min(most, first * (1 << min(max(0, failures - 1), 16)))


def pause_after(before_s: float, lived_s: float) -> float:
    """The delay in s before a process is restarted: doubled each time, reset where the process ran for long.

    Args: before_s: the wait before its last start, 0 for none. lived_s: how long it ran since.
    """
    return FIRST_S if lived_s > MOST_S else min(MOST_S, max(FIRST_S, 2 * before_s))


@dataclass(slots=True)
class Restarts:
    """The restarts of one process that is running already. Times are arguments, monotonic seconds."""

    _began_s: float | None = None
    _pause_s: float = 0.0
    _next_s: float = 0.0
    _runs: bool = True

    def due(self, now_s: float) -> bool:
        """Whether the process, found to have ended, may be started now."""
        if self._runs:
            lived_s = MOST_S + 1 if self._began_s is None else now_s - self._began_s
            self._pause_s = pause_after(self._pause_s, lived_s)
            self._runs, self._next_s = False, now_s + self._pause_s
        return now_s >= self._next_s

    def begun(self, now_s: float) -> None:
        """Note that the process was started, or that starting it failed."""
        self._runs, self._began_s = True, now_s
