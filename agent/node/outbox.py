"""Bytes that wait for a neighbour to be reachable, for a bounded time."""

from collections import deque
from dataclasses import dataclass

from settlement.chain.credentials import Registry
from settlement.mesh import Mesh
from settlement.step import Outgoing

KEEP_NS = 10_000_000_000
WAITING_MAX = 1000


@dataclass(frozen=True, slots=True)
class _Waiting:
    outgoing: Outgoing
    until_ns: int


class Outbox:
    """Hands bytes to the mesh, and again later when the neighbour was not connected."""

    def __init__(self, mesh: Mesh, registry: Registry) -> None:
        self._mesh, self._registry = mesh, registry
        self._waiting: deque[_Waiting] = deque(maxlen=WAITING_MAX)

    def send(self, outgoing: Outgoing, now_ns: int) -> None:
        """Send now, or keep for later; `now_ns` is monotonic."""
        if not self._hand_over(outgoing):
            self._waiting.append(_Waiting(outgoing, now_ns + KEEP_NS))

    def retry(self, now_ns: int) -> None:
        """Try what waits again; what waited too long is dropped, the protocol asks again."""
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            if now_ns < waiting.until_ns and not self._hand_over(waiting.outgoing):
                self._waiting.append(waiting)

    def _hand_over(self, outgoing: Outgoing) -> bool:
        peer = self._registry.get(outgoing.to)
        return (
            peer is not None and peer.transport_key is not None and self._mesh.send(peer.transport_key, outgoing.data)
        )
