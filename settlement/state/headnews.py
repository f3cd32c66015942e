"""Scheduling of witness messages: which neighbours to ask for a cosignature, and whom to tell of others' heads."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NS = 1_000_000_000
TELL_NS = NS
"""Least time between telling some neighbours of heads and telling the next, ns."""
TOLD_AT_ONCE = 3
HEADS_KEPT = 8
"""Most heads of one log waiting to be told; of more cosigned heads the newest are kept."""
LOGS_KEPT = 4096


class AskingOrder:
    """The order in which neighbours are asked: each in turn, those that did not answer in time last."""

    def __init__(self) -> None:
        self._turn = 0
        self._late: set[bytes] = set()

    def some(self, neighbours: Sequence[bytes], count: int) -> list[bytes]:
        """Return the next `count` neighbours."""
        if not neighbours:
            return []
        first = self._turn % len(neighbours)
        self._turn += 1
        order = [*neighbours[first:], *neighbours[:first]]
        return sorted(order, key=self._late.__contains__)[:count]

    def let_wait(self, neighbour: bytes) -> None:
        """Note that a neighbour was asked and did not answer in time."""
        self._late.add(neighbour)

    def answered(self, neighbour: bytes) -> None:
        """Note that a neighbour answered."""
        self._late.discard(neighbour)


@dataclass(frozen=True, slots=True)
class _News:
    number: int
    raw: bytes


class HeadNews:
    """Queue of cosigned heads to send to the neighbours, so that some node sees two different heads of one size.

    The cost is bounded by time, not by settlements: at most once in TELL_NS the next TOLD_AT_ONCE neighbours are sent
    the last HEADS_KEPT heads of each log that they have not been sent yet. The queue is in memory only: losing a head
    is no worse than losing the message with it.
    """

    def __init__(self) -> None:
        self._heads: dict[bytes, deque[_News]] = {}
        self._told: dict[bytes, int] = {}
        self._count = self._turn = self._next_ns = 0

    def note(self, owner: bytes, raw: bytes) -> None:
        """Add a cosigned head of this owner's log; `raw` is the record that says so."""
        self._count += 1
        news = self._heads.pop(owner, None) or deque[_News](maxlen=HEADS_KEPT)
        news.append(_News(self._count, raw))
        self._heads[owner] = news
        if len(self._heads) > LOGS_KEPT:
            del self._heads[next(iter(self._heads))]

    def waits(self, now_ns: int) -> bool:
        """Whether anything is to be told now, if there are neighbours."""
        return now_ns >= self._next_ns and bool(self._heads)

    def due(self, now_ns: int, neighbours: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
        """Yield what is to be told now, as pairs of neighbour and record; an owner is not told of its own log."""
        if not neighbours or not self.waits(now_ns):
            return
        self._next_ns = now_ns + TELL_NS
        for _ in range(min(TOLD_AT_ONCE, len(neighbours))):
            neighbour = neighbours[self._turn % len(neighbours)]
            self._turn += 1
            told, self._told[neighbour] = self._told.get(neighbour, 0), self._count
            for owner, heads in self._heads.items():
                if owner != neighbour:
                    yield from ((neighbour, one.raw) for one in heads if one.number > told)
        least = min(self._told.get(one, 0) for one in neighbours)
        self._heads = {owner: heads for owner, heads in self._heads.items() if heads[-1].number > least}
