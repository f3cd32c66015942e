"""When what failed is tried again: after pauses that grow while it fails.

A process that ends at once each time (its port is taken, its file does not read) would take half a core to start for
hours; a neighbour's service that is down would be asked thousands of times.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

Unit = TypeVar("Unit", int, float)
FIRST_S: Final = 1.0
MOST_S: Final = 60.0
"""The longest pause; whoever lived for longer than this begins with the shortest again."""


def pause_of(failures: int, first: Unit, most: Unit) -> Unit:
    """The pause after so many failures in a row, in the unit of `first`: that, then twice as long each, `most` at most.

    After no failure it is the first one as well.
    """
    return min(most, first * (1 << min(max(0, failures - 1), 16)))


def pause_after(before_s: float, lived_s: float) -> float:
    """How long to wait before a process is started again (s): twice as long each time, anew where it lived for long.

    Args: before_s: the wait before its last start, 0 for none. lived_s: how long it ran since.
    """
    return FIRST_S if lived_s > MOST_S else min(MOST_S, max(FIRST_S, 2 * before_s))


@dataclass(slots=True)
class Restarts:
    """The restarts of one process, which runs already. Times are monotonic seconds, handed in."""

    _began_s: float | None = None
    _pause_s: float = 0.0
    _next_s: float = 0.0
    _runs: bool = True

    def due(self, now_s: float) -> bool:
        """Whether a process that was found to have ended may be started now."""
        if self._runs:
            lived_s = MOST_S + 1 if self._began_s is None else now_s - self._began_s
            self._pause_s = pause_after(self._pause_s, lived_s)
            self._runs, self._next_s = False, now_s + self._pause_s
        return now_s >= self._next_s

    def begun(self, now_s: float) -> None:
        """It was started, or it was tried."""
        self._runs, self._began_s = True, now_s
