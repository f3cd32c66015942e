"""Counts looks taken against looks planned, and raises an alarm where a node senses less often than it should.

A radar's burst may last 40 ms, in which a node plans two looks; on a host with too little processor time looks come
later, and a burst may fall between two of them.
"""

from collections import deque
from itertools import pairwise
from typing import Final

from agent.service.snapshot import TOO_FEW_LOOKS

OVER_NS: Final = 10_000_000_000
"""The time in ns over which looks are counted."""
LEAST_SHARE: Final = 0.75


class LookCount:
    """The looks of the last ten seconds, counted by one thread and read by another. Times in ns, monotonic."""

    def __init__(self, every_ns: int) -> None:
        """Args: every_ns: time from one planned look to the next."""
        self._every_ns = every_ns
        self._taken: deque[int] = deque(maxlen=2 * OVER_NS // every_ns + 2)
        self._began_ns: int | None = None

    def took(self, began_ns: int) -> None:
        """Count a look that sensing went through; `began_ns` is when the look began."""
        if self._began_ns is None:
            self._began_ns = began_ns
        self._taken.append(began_ns)

    def alarm(self, now_ns: int) -> str | None:
        """Return the alarm's text; None where enough looks were taken, or the first ten seconds are not over."""
        if self._began_ns is None or now_ns - self._began_ns < OVER_NS:
            return None
        recent = [one for one in list(self._taken) if now_ns - one <= OVER_NS]
        share = len(recent) * self._every_ns / OVER_NS
        if share >= LEAST_SHARE:
            return None
        edges = [now_ns - OVER_NS, *recent, now_ns]
        longest_ms = max(later - earlier for earlier, later in pairwise(edges)) / 1e6
        return f"{100 * share:.0f} % {TOO_FEW_LOOKS}, up to {longest_ms:.0f} ms apart: a shorter burst may go unheard"
