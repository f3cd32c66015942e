"""Who watches the page live, bounded in number: a new viewer takes the place of one that has been there for a while.

Whoever reaches the port needs no token to watch, so that places which are only counted are taken for good by whoever
opens them first and reads nothing. The viewer that leaves is the oldest of the address that watches most.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

VIEWERS_MAX: Final = 32
STAYS_S: Final = 5.0
"""For so long nobody takes a viewer's place: pages that open again by themselves do not chase one another."""


@dataclass(frozen=True, slots=True, eq=False)
class Viewer:
    """One that watches: its address, since when (monotonic, s), and how its connection is ended."""

    address: str
    since_s: float
    leave: Callable[[], None]


class Viewers:
    """The places. `seconds` is the monotonic clock."""

    def __init__(self, most: int = VIEWERS_MAX, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds = most, seconds
        self._there: list[Viewer] = []

    def __len__(self) -> int:
        return len(self._there)

    def has_room(self) -> bool:
        """Whether one more can watch now, in a free place or in another's."""
        return len(self._there) < self._most or self._leaving() is not None

    @contextmanager
    def place(self, address: str, leave: Callable[[], None]) -> Iterator[None]:
        """Hold a place, another's where none is free; ask `has_room` before. `leave` ends the connection at once."""
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
        """Whose place can be taken: the oldest of the address that has most, once it has stayed."""
        before_s = self._seconds() - STAYS_S
        count = Counter(one.address for one in self._there)
        stayed = [one for one in self._there if one.since_s <= before_s]
        return max(stayed, key=lambda one: (count[one.address], -one.since_s), default=None)
