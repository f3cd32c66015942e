"""Measures how late a loop runs: its longest recent turn, the bound assumed for its next one."""

SPAN_NS = 5_000_000_000


class Pace:
    """Remembers the longest turn of the last one to two spans. Times are arguments, monotonic ns."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._before_ns = self._now_ns = 0

    def turn(self, began_ns: int, ended_ns: int) -> None:
        """Note the begin and end of a turn."""
        if self._since_ns is None or ended_ns - self._since_ns > SPAN_NS:
            self._since_ns, self._before_ns, self._now_ns = ended_ns, self._now_ns, 0
        self._now_ns = max(self._now_ns, ended_ns - began_ns)

    @property
    def worst_ns(self) -> int:
        """The longest turn remembered, ns."""
        return max(self._before_ns, self._now_ns)
