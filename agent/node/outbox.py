"""Bytes that wait for a neighbour to be reachable: in order for each, bounded, tried again with growing pauses.

The bytes are those of the durable step and are never made anew. What waited too long is dropped: the protocol asks
again for what it needs, and gets the stored answer.
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
    """What waits for one neighbour, oldest first."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    size: int = 0
    failures: int = 0
    next_ns: int = 0

    def add(self, item: _Waiting) -> int:
        """Append; the oldest make room. Returns how many were dropped for it."""
        self.waiting.append(item)
        self.size += len(item.data)
        dropped = 0
        while self.size > WAITING_BYTES_MAX:
            self.take()
            dropped += 1
        return dropped

    def take(self) -> None:
        """Forget the oldest."""
        self.size -= len(self.waiting.popleft().data)


class Outbox:
    """Hands bytes to the mesh, and again later when the neighbour was not connected or took no more."""

    def __init__(self, mesh: Mesh, registry: Registry, *, seed: int = 0) -> None:
        self._mesh, self._registry = mesh, registry
        self._random = random.Random(seed)
        self._queues: dict[bytes, _Queue] = {}
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    def send(self, outgoing: Outgoing, now_ns: int) -> None:
        """Send now, or keep for later behind what waits already; `now_ns` is monotonic."""
        queue = self._queues.get(outgoing.to)
        if queue is None and self._hand_over(outgoing.to, outgoing.data):
            return
        if queue is None:
            queue = self._queues[outgoing.to] = _Queue()
            self._pause(queue, now_ns)
        self.dropped += queue.add(_Waiting(outgoing.data, now_ns + KEEP_NS))

    def retry(self, now_ns: int) -> None:
        """Try what is due again, in order; what waited too long is dropped."""
        for to, queue in list(self._queues.items()):
            if now_ns >= queue.next_ns:
                self._work_off(to, queue, now_ns)
            if not queue.waiting:
                del self._queues[to]

    def came_up(self, to: bytes) -> None:
        """A neighbour just connected: what waits for it need wait no longer."""
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
        """Twice as long each time, and by chance up to half longer, so that neighbours do not try in step."""
        pause_ns = min(PAUSE_NS_MAX, PAUSE_NS << min(queue.failures, 16))
        queue.failures += 1
        queue.next_ns = now_ns + pause_ns + self._random.randrange(pause_ns // 2)

    def _hand_over(self, to: bytes, data: bytes) -> bool:
        peer = self._registry.get(to)
        return peer is not None and peer.transport_key is not None and self._mesh.send(peer.transport_key, data)
