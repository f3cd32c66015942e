"""Models kernel buffers in time: which span each receive buffer holds, when a transmit buffer is free. Pure."""

from collections import deque
from dataclasses import dataclass

NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A full receive buffer: the time of its first sample; `after_loss` if samples before it were lost."""

    start_ns: int
    after_loss: bool


class ReceiveQueue:
    """Fills `count` buffers one after another from the opening on; while all are full, new samples are lost.

    What waits in it keeps its age: a client that comes late, or retunes, is given old samples first.
    """

    def __init__(self, *, samples: int, rate_hz: int, count: int, now_ns: int) -> None:
        self.samples = samples
        self._rate_hz = rate_hz
        self._count = count
        self._next_ns = now_ns
        self._lost = False
        self._filled: deque[Filled] = deque()

    @property
    def length_ns(self) -> int:
        """Duration of one buffer, ns."""
        return -(-self.samples * NS // self._rate_hz)

    def advance(self, *, now_ns: int) -> None:
        """Fill the buffers that are full by now."""
        while len(self._filled) < self._count and self._next_ns + self.length_ns <= now_ns:
            self._filled.append(Filled(start_ns=self._next_ns, after_loss=self._lost))
            self._next_ns += self.length_ns
            self._lost = False

    def due_ns(self, *, now_ns: int) -> int:
        """When the next buffer to read is full."""
        self.advance(now_ns=now_ns)
        return self._filled[0].start_ns + self.length_ns if self._filled else self._next_ns + self.length_ns

    def take(self, *, now_ns: int) -> Filled | None:
        """Return the oldest full buffer and reuse it; None if none is full."""
        self.advance(now_ns=now_ns)
        if not self._filled:
            return None
        stalled = len(self._filled) == self._count
        taken = self._filled.popleft()
        if stalled and self._next_ns < now_ns:
            self._next_ns, self._lost = now_ns, True
        return taken

    def waiting(self, *, now_ns: int) -> list[Filled]:
        """Every full buffer not yet read, oldest first."""
        self.advance(now_ns=now_ns)
        return list(self._filled)

    def retuned(self, *, rate_hz: int, now_ns: int) -> None:
        """Continue filling at another rate; full buffers stay as they are."""
        self.advance(now_ns=now_ns)
        if rate_hz != self._rate_hz:
            self._rate_hz = rate_hz
            self._next_ns = now_ns


class TransmitQueue:
    """At most `count` transmit buffers wait or play; the next is accepted when the oldest has played."""

    def __init__(self, *, count: int) -> None:
        self._count = count
        self._ends: deque[int] = deque()

    def free_ns(self, *, now_ns: int) -> int:
        """When the next buffer is accepted."""
        while self._ends and self._ends[0] <= now_ns:
            self._ends.popleft()
        return now_ns if len(self._ends) < self._count else self._ends[0]

    def add(self, end_ns: int) -> None:
        """Add a buffer that plays until `end_ns`."""
        self._ends.append(end_ns)

    @property
    def busy_until_ns(self) -> int:
        """When everything has played; 0 if nothing was queued."""
        return self._ends[-1] if self._ends else 0
