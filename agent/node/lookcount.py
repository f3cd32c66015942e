"""Counts the looks that sensing took against those that are planned: a node that listens less than it should says so.

A radar's burst may last 40 ms. A node plans two looks in such a burst; on a host that has too little processor time
they come later, and a burst may fall between two of them.
"""

from collections import deque
from itertools import pairwise
from typing import Final

from agent.service.snapshot import TOO_FEW_LOOKS

OVER_NS: Final = 10_000_000_000
"""The time over which looks are counted."""
LEAST_SHARE: Final = 0.75


class LookCount:
    """The looks of the last ten seconds, counted by one thread and asked by another. Times in ns, monotonic."""

    def __init__(self, every_ns: int) -> None:
        """Args: every_ns from one planned look to the next."""
        self._every_ns = every_ns
        self._taken: deque[int] = deque(maxlen=2 * OVER_NS // every_ns + 2)
        self._began_ns: int | None = None

    def took(self, began_ns: int) -> None:
        """Sensing went through a look that began then."""
        if self._began_ns is None:
            self._began_ns = began_ns
        self._taken.append(began_ns)

    def alarm(self, now_ns: int) -> str | None:
        """What is wrong, in a few words; None where enough looks were taken, or the first ten seconds are not over."""
        if self._began_ns is None or now_ns - self._began_ns < OVER_NS:
            return None
        recent = [one for one in list(self._taken) if now_ns - one <= OVER_NS]
        share = len(recent) * self._every_ns / OVER_NS
        if share >= LEAST_SHARE:
            return None
        edges = [now_ns - OVER_NS, *recent, now_ns]
        longest_ms = max(later - earlier for earlier, later in pairwise(edges)) / 1e6
        return f"{100 * share:.0f} % {TOO_FEW_LOOKS}, up to {longest_ms:.0f} ms apart: a shorter burst may go unheard"
