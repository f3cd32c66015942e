"""The mesh's ZeroMQ sockets: CURVE in both directions, admission by credentialed transport key.

Each node binds one ROUTER and has one DEALER for each peer; messages go only from DEALER to ROUTER. The sender of a
message is known by the transport key that CURVE verified and the door admitted, never by a routing id.
"""

import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq
from zmq.utils import z85

from settlement.core.reasons import Reason
from settlement.mesh.door import DOMAIN, Door, readable
from settlement.mesh.keys import MeshError, TransportKey
from settlement.mesh.limits import Limits, PeerRates
from settlement.mesh.valve import Valve
from settlement.state.messages import MESSAGE_LIMIT

SEND_QUEUE_MESSAGES = 256
KERNEL_QUEUE_BYTES = 256 << 10
HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
HANDSHAKE_MS = 5000
CONNECT_MS = 5000
RECONNECT_MS, RECONNECT_MS_MAX = 100, 500
"""Deadlines of a settlement are seconds, so a lost neighbour is tried again at least twice a second."""
BATCH = 64
HINTS_MAX = 2
KNOCK_MS, KNOCKS = 20, 250
RATE = "RATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message from the node that has `transport_key`."""

    transport_key: bytes
    data: bytes


@dataclass(slots=True)
class _Line:
    """The connection to one peer: its configured endpoint, and further endpoints that were heard of."""

    socket: "zmq.Socket[bytes]"
    endpoint: str | None
    hints: deque[str] = field(default_factory=deque)
    proven: set[str] = field(default_factory=set)
    """Endpoints where the peer is connected now: it proved its key there."""
    events: "zmq.Socket[bytes] | None" = None

    def follow(self) -> None:
        """Update `proven` from the connections that opened and closed; the first call starts the event monitor."""
        if self.events is None:
            self.events = self.socket.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED)
            self.events.linger = 0
        while readable(self.events):
            (kind, _), place = struct.unpack("=Hi", self.events.recv()), self.events.recv().decode("ascii", "replace")
            (self.proven.add if kind == zmq.Event.HANDSHAKE_SUCCEEDED else self.proven.discard)(place)

    def close(self) -> None:
        """Close the socket and its event monitor."""
        if self.events is not None:
            self.socket.disable_monitor()
            self.events.close()
        self.socket.close()


class Mesh:
    """Sockets of one node. Not thread-safe: one loop owns it and polls `sockets`."""

    def __init__(
        self,
        key: TransportKey,
        listen: str,
        admits: Callable[[bytes], bool],
        *,
        limits: Limits | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Bind the ROUTER to `listen`; `admits(transport public key)` decides on every connection. Raises MeshError."""
        self._key, self._admits, self._clock = key, admits, clock
        self._limits = limits or Limits()
        self._context = zmq.Context(io_threads=1)
        self._lines: dict[bytes, _Line] = {}
        self._rates = PeerRates(self._limits)
        self._malformed = 0
        try:
            self._door = self._make_door()
            self._router = self._bind_router(listen)
        except zmq.ZMQError as exc:
            self._context.destroy(linger=0)
            mend = "another program uses it; choose another port in `listen`"
            raise MeshError(f"cannot listen on {listen}: {exc}; {mend}") from exc
        self._valve = Valve(self._router, self._limits)
        self._prove_door()

    def _make_door(self) -> Door:
        return Door(self._context, self._admits)

    def _prove_door(self) -> None:
        """Connect with a fresh key, about which the door must be asked; it refuses the key. Raises MeshError."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        stranger = TransportKey.generate()
        self._door.expect(stranger.public)
        try:
            knock = self._dealer(context, stranger, self._key.public)
            knock.connect(self.endpoint)
            for _ in range(KNOCKS):
                self._door.answer()
                if self._door.knocked:
                    break
                self._door.socket.poll(KNOCK_MS)
            else:
                self.close()
                raise MeshError("no handler answers for the keys of those who connect; the node does not start")
        finally:
            context.destroy(linger=0)
        self._door.denied.clear()

    def _common(self, socket: "zmq.Socket[bytes]", key: TransportKey) -> None:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IPV6, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_LIMIT)
        socket.setsockopt(zmq.RCVBUF, KERNEL_QUEUE_BYTES)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.curve_publickey = z85.encode(key.public)
        socket.curve_secretkey = z85.encode(key.secret)

    def _bind_router(self, listen: str) -> "zmq.Socket[bytes]":
        router = self._context.socket(zmq.ROUTER)
        self._common(router, self._key)
        router.setsockopt(zmq.RCVHWM, self._limits.queue_messages)
        router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        router.curve_server = True
        router.bind(listen)
        return router

    def _dealer(
        self, context: "zmq.Context[zmq.Socket[bytes]]", key: TransportKey, peer_key: bytes
    ) -> "zmq.Socket[bytes]":
        dealer = context.socket(zmq.DEALER)
        self._common(dealer, key)
        dealer.curve_serverkey = z85.encode(peer_key)
        dealer.setsockopt(zmq.SNDHWM, SEND_QUEUE_MESSAGES)
        dealer.setsockopt(zmq.RCVHWM, 1)
        dealer.setsockopt(zmq.IMMEDIATE, 1)
        dealer.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
        dealer.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        dealer.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
        return dealer

    @property
    def endpoint(self) -> str:
        """The endpoint of the ROUTER, with the port that was chosen."""
        return str(self._router.getsockopt_string(zmq.LAST_ENDPOINT))

    @property
    def sockets(self) -> tuple["zmq.Socket[bytes]", ...]:
        """The sockets that the loop polls for input."""
        return self._door.socket, self._router

    # -- peers ---------------------------------------------------------------------------------------------------

    def connect(self, peer_key: bytes, endpoint: str) -> None:
        """Keep a connection to a peer; it opens whenever the peer listens, and only if the peer has that key."""
        dealer = self._dealer(self._context, self._key, peer_key)
        dealer.connect(endpoint)
        previous = self._lines.pop(peer_key, None)
        if previous is not None:
            previous.close()
        self._lines[peer_key] = _Line(dealer, endpoint)

    def hint(self, peer_key: bytes, endpoint: str) -> bool:
        """Also try an endpoint where a peer may be; CURVE verifies that the peer is there.

        Returns False, and does nothing, for a key that is not admitted, an endpoint that is known or not valid, and
        where this process can open no more sockets. Of more than HINTS_MAX endpoints the oldest one without a
        connection is dropped, so that forged hints cut no connection.
        """
        line = self._lines.get(peer_key)
        if not self._admits(peer_key) or (line is not None and endpoint in (line.endpoint, *line.hints)):
            return False
        try:
            line = line or _Line(self._dealer(self._context, self._key, peer_key), None)
            line.follow()
            line.socket.connect(endpoint)
        except zmq.ZMQError:
            if line is not None and peer_key not in self._lines:
                line.close()
            return False
        self._lines[peer_key] = line
        line.hints.append(endpoint)
        if len(line.hints) > HINTS_MAX:
            gone = next((place for place in line.hints if place not in line.proven), line.hints[0])
            line.hints.remove(gone)
            line.socket.disconnect(gone)
        return True

    def entered(self) -> list[bytes]:
        """Return the transport keys of the peers that connected since the last call."""
        return self._door.entered()

    # -- messages ------------------------------------------------------------------------------------------------

    def send(self, peer_key: bytes, data: bytes) -> bool:
        """Queue bytes for a peer; False when it is not connected or its queue is full."""
        line = self._lines.get(peer_key)
        if line is None:
            return False
        try:
            line.socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self) -> list[Arrived]:
        """Answer pending handshakes and return the messages that arrived, at most BATCH; never blocks."""
        now_ns = self._clock()
        self._door.answer()
        self._valve.watch(now_ns)
        arrived: list[Arrived] = []
        for _ in range(BATCH):
            if not readable(self._router):
                break
            try:
                message = self._next(now_ns)
            except zmq.Again:
                break
            if message is not None:
                arrived.append(message)
        return arrived

    def _next(self, now_ns: int) -> Arrived | None:
        """Return the next message, None if it has not exactly one part or is over a limit. Raises zmq.Again."""
        self._router.recv(zmq.NOBLOCK)  # the routing id, which proves nothing
        frame, parts = None, 0
        while self._router.getsockopt(zmq.RCVMORE):
            part = self._router.recv(copy=False)
            frame, parts = part if parts == 0 else frame, parts + 1
        if frame is None:
            self._malformed += 1
            return None
        peer = bytes.fromhex(str(frame.get("User-Id")))
        self._valve.delivered(int(frame.get(zmq.SRCFD)), peer, now_ns)
        if not self._rates.takes(peer, len(frame), now_ns):
            return None
        if parts != 1:
            self._malformed += 1
            return None
        return Arrived(transport_key=peer, data=frame.bytes)

    # -- counts for display --------------------------------------------------------------------------------------

    @property
    def denied(self) -> Counter[str]:
        """Number of connections and messages turned away, by cause."""
        counted = Counter(self._door.denied) + Counter(self._valve.cut)
        return counted + Counter({Reason.MALFORMED.value: self._malformed, RATE: self._rates.over.total()})

    @property
    def over_limit(self) -> dict[bytes, int]:
        """Messages dropped because their sender sent too many, by transport key."""
        return dict(self._rates.over)

    @property
    def connections(self) -> int:
        """Number of connections that others hold to this node."""
        return self._valve.open

    def close(self) -> None:
        """Close every socket at once, dropping what is queued."""
        self._valve.close()
        self._context.destroy(linger=0)
