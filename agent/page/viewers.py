"""Bounds the number of live viewers: a new viewer replaces one that has watched for a while.

A client needs no token to watch, so a plain limit would let whoever opens all places first, and reads nothing, keep
them for good. The viewer replaced is the oldest of the address that has most viewers.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

VIEWERS_MAX: Final = 32
STAYS_S: Final = 5.0
"""Seconds for which a viewer cannot be replaced: pages that reconnect by themselves do not displace one another."""


@dataclass(frozen=True, slots=True, eq=False)
class Viewer:
    """One viewer: its address, its start (monotonic, s), and a function that ends its connection."""

    address: str
    since_s: float
    leave: Callable[[], None]


class Viewers:
    """The viewers' places. `seconds` is the monotonic clock."""

    def __init__(self, most: int = VIEWERS_MAX, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds = most, seconds
        self._there: list[Viewer] = []

    def __len__(self) -> int:
        return len(self._there)

    def has_room(self) -> bool:
        """Whether one more viewer can watch now, in a free place or by replacing another."""
        return len(self._there) < self._most or self._leaving() is not None

    @contextmanager
    def place(self, address: str, leave: Callable[[], None]) -> Iterator[None]:
        """Hold a place while the context lasts, replacing a viewer where none is free; check `has_room` first."""
        if len(self._there) >= self._most:
            other = self._leaving() or self._there[0]
            self._there.remove(other)
            other.leave()
        one = Viewer(address=address, since_s=self._seconds(), leave=leave)
        self._there.append(one)
        try:
            yield
        finally:
            if one in self._there:
                self._there.remove(one)

    def _leaving(self) -> Viewer | None:
        """Return the viewer to replace: the oldest of the address that has most, once it has stayed STAYS_S."""
        before_s = self._seconds() - STAYS_S
        count = Counter(one.address for one in self._there)
        stayed = [one for one in self._there if one.since_s <= before_s]
        return max(stayed, key=lambda one: (count[one.address], -one.since_s), default=None)
