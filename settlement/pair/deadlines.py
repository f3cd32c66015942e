"""A queue of deadlines: which of many settlements a tick has to look at; it skips the others."""

import heapq


class Deadlines:
    """Keys by the time from which they are due; a due key stays due until its deadline is set anew.

    Setting a deadline costs O(log n) time; only due keys are visited.
    """

    def __init__(self) -> None:
        self._at: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._due: dict[bytes, None] = {}

    def set(self, key: bytes, at_ns: int) -> None:
        """Set a key's deadline to `at_ns` (UTC); its earlier deadline is dropped."""
        was_due = key in self._due
        self._due.pop(key, None)
        if self._at.get(key) == at_ns and not was_due:
            return
        self._at[key] = at_ns
        heapq.heappush(self._heap, (at_ns, key))
        if len(self._heap) > 64 + 4 * len(self._at):
            self._heap = sorted((at, one) for one, at in self._at.items() if one not in self._due)

    def forget(self, key: bytes) -> None:
        """Remove a key."""
        self._at.pop(key, None)
        self._due.pop(key, None)

    def look_at_all(self) -> None:
        """Make all keys due, because something that all deadlines depend on has changed."""
        self._due = dict.fromkeys(self._at)
        self._heap = []

    def next_ns(self) -> int | None:
        """Return the first deadline (UTC, ns): 0 where a key is due already, None where there are no keys."""
        if self._due:
            return 0
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, latest_ns: int) -> list[bytes]:
        """Return the keys due at `latest_ns` (UTC), in the order in which they fell due."""
        while self._heap and self._heap[0][0] <= latest_ns:
            at_ns, key = heapq.heappop(self._heap)
            if self._at.get(key) == at_ns:
                self._due[key] = None
        return list(self._due)
