"""Queues messages for neighbours that cannot be reached: in order per neighbour, bounded, retried with growing pauses.

The bytes are those of the durable step and are never made again. A message that waited too long is dropped: the
protocol requests again what it needs, and gets the stored answer.
"""

import random
from collections import deque
from dataclasses import dataclass, field

from settlement.chain.credentials import Registry
from settlement.mesh import Mesh
from settlement.state.step import Outgoing

KEEP_NS = 10_000_000_000
WAITING_BYTES_MAX = 4 << 20
PAUSE_NS, PAUSE_NS_MAX = 20_000_000, 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    data: bytes
    until_ns: int


@dataclass(slots=True)
class _Queue:
    """Messages that wait for one neighbour, oldest first."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    size: int = 0
    failures: int = 0
    next_ns: int = 0

    def add(self, item: _Waiting) -> int:
        """Append a message; drops the oldest beyond the bound and returns how many were dropped."""
        self.waiting.append(item)
        self.size += len(item.data)
        dropped = 0
        while self.size > WAITING_BYTES_MAX:
            self.take()
            dropped += 1
        return dropped

    def take(self) -> None:
        """Drop the oldest message."""
        self.size -= len(self.waiting.popleft().data)


class Outbox:
    """Sends messages over the mesh, and retries those whose neighbour was not connected or accepted no more."""

    def __init__(self, mesh: Mesh, registry: Registry, *, seed: int = 0) -> None:
        self._mesh, self._registry = mesh, registry
        self._random = random.Random(seed)
        self._queues: dict[bytes, _Queue] = {}
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Return how many messages wait."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    def send(self, outgoing: Outgoing, now_ns: int) -> None:
        """Send a message now, or queue it behind those that wait already; `now_ns` is monotonic."""
        queue = self._queues.get(outgoing.to)
        if queue is None and self._hand_over(outgoing.to, outgoing.data):
            return
        if queue is None:
            queue = self._queues[outgoing.to] = _Queue()
            self._pause(queue, now_ns)
        self.dropped += queue.add(_Waiting(outgoing.data, now_ns + KEEP_NS))

    def retry(self, now_ns: int) -> None:
        """Retry the messages that are due, in order; drops those that waited too long."""
        for to, queue in list(self._queues.items()):
            if now_ns >= queue.next_ns:
                self._work_off(to, queue, now_ns)
            if not queue.waiting:
                del self._queues[to]

    def came_up(self, to: bytes) -> None:
        """Note that a neighbour connected: its messages are due now."""
        queue = self._queues.get(to)
        if queue is not None:
            queue.failures = queue.next_ns = 0

    def _work_off(self, to: bytes, queue: _Queue, now_ns: int) -> None:
        while queue.waiting:
            head = queue.waiting[0]
            if now_ns >= head.until_ns:
                self.dropped += 1
            elif not self._hand_over(to, head.data):
                self._pause(queue, now_ns)
                return
            else:
                queue.failures = 0
            queue.take()

    def _pause(self, queue: _Queue, now_ns: int) -> None:
        """Double the pause, plus up to half at random: neighbours then do not retry in step."""
        pause_ns = min(PAUSE_NS_MAX, PAUSE_NS << min(queue.failures, 16))
        queue.failures += 1
        queue.next_ns = now_ns + pause_ns + self._random.randrange(pause_ns // 2)

    def _hand_over(self, to: bytes, data: bytes) -> bool:
        peer = self._registry.get(to)
        return peer is not None and peer.transport_key is not None and self._mesh.send(peer.transport_key, data)
