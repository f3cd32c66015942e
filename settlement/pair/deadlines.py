"""Which of many settlements the passing of time can have done anything to: the others are not looked at."""

import heapq


class Deadlines:
    """Keys by the first time at which they are to be looked at; from then on until they are set anew.

    Setting one costs the logarithm of how many there are, asking only what is due.
    """

    def __init__(self) -> None:
        self._at: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._due: dict[bytes, None] = {}

    def set(self, key: bytes, at_ns: int) -> None:
        """Look at this one from `at_ns` on (UTC), and no longer when it was to be looked at before."""
        was_due = key in self._due
        self._due.pop(key, None)
        if self._at.get(key) == at_ns and not was_due:
            return
        self._at[key] = at_ns
        heapq.heappush(self._heap, (at_ns, key))
        if len(self._heap) > 64 + 4 * len(self._at):
            self._heap = sorted((at, one) for one, at in self._at.items() if one not in self._due)

    def forget(self, key: bytes) -> None:
        """It is over."""
        self._at.pop(key, None)
        self._due.pop(key, None)

    def look_at_all(self) -> None:
        """What was set rests on something that has changed: all are to be looked at."""
        self._due = dict.fromkeys(self._at)
        self._heap = []

    def next_ns(self) -> int | None:
        """The first time at which one is to be looked at, 0 where one already is; None where none ever is."""
        if self._due:
            return 0
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, latest_ns: int) -> list[bytes]:
        """Those to look at when it may be `latest_ns` (UTC), in the order in which they fell due."""
        while self._heap and self._heap[0][0] <= latest_ns:
            at_ns, key = heapq.heappop(self._heap)
            if self._at.get(key) == at_ns:
                self._due[key] = None
        return list(self._due)
