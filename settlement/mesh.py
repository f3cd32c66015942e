"""The only place that speaks ZeroMQ to peers: CURVE both ways, admission by credentialed transport key.

Each node binds one ROUTER and holds one DEALER for each peer; messages go one way on each, from DEALER to ROUTER. Who
sent a message is the transport key that CURVE proved and our ZAP handler admitted, never a routing id. The handler is
our own, run in the caller's loop: pyzmq's asyncio authenticator dies with the first exception in its callback, and
without a handler libzmq admits any key (ZAP_ENFORCE_DOMAIN makes it refuse instead).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import zmq
from zmq.utils import z85

from settlement.messages import MESSAGE_LIMIT
from settlement.reasons import Reason

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
ZAP_DOMAIN = b"bandpact"
QUEUE_MESSAGES = 1000
HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
HANDSHAKE_MS = 5000
RECONNECT_MS, RECONNECT_MS_MAX = 100, 2000
BATCH = 64


class MeshError(Exception):
    """The mesh cannot start; the message names the endpoint and the mend."""


@dataclass(frozen=True, slots=True)
class TransportKey:
    """A CURVE key pair, raw bytes; it never prints its secret."""

    public: bytes
    secret: bytes

    @classmethod
    def generate(cls) -> "TransportKey":
        """Make a new pair from the operating system's randomness."""
        public, secret = zmq.curve_keypair()
        return cls(z85.decode(public), z85.decode(secret))

    @classmethod
    def from_secret(cls, secret: bytes) -> "TransportKey":
        """Load from the 32 secret bytes."""
        return cls(z85.decode(zmq.curve_public(z85.encode(secret))), secret)

    def __repr__(self) -> str:
        return f"TransportKey({self.public.hex()})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Bytes from the node that holds `transport_key`."""

    transport_key: bytes
    data: bytes


class Mesh:
    """Sockets of one node. Not thread-safe: one loop owns it and polls `sockets`."""

    def __init__(self, key: TransportKey, listen: str, admits: Callable[[bytes], bool]) -> None:
        """Bind. `admits(transport public key)` decides on every connection. Raises MeshError."""
        self._key, self._admits = key, admits
        self._context = zmq.Context(io_threads=1)
        self._dealers: dict[bytes, zmq.Socket[bytes]] = {}
        self.denied: Counter[str] = Counter()
        try:
            self._zap = self._bind_zap()
            self._router = self._bind_router(listen)
        except zmq.ZMQError as exc:
            self.close()
            mend = "another program uses it; choose another port in `listen`"
            raise MeshError(f"cannot listen on {listen}: {exc}; {mend}") from exc

    def _bind_zap(self) -> zmq.Socket[bytes]:
        zap = self._context.socket(zmq.REP)
        zap.linger = 0
        zap.bind(ZAP_ENDPOINT)
        return zap

    def _common(self, socket: zmq.Socket[bytes]) -> None:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IPV6, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_LIMIT)
        socket.setsockopt(zmq.SNDHWM, QUEUE_MESSAGES)
        socket.setsockopt(zmq.RCVHWM, QUEUE_MESSAGES)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.curve_publickey = z85.encode(self._key.public)
        socket.curve_secretkey = z85.encode(self._key.secret)

    def _bind_router(self, listen: str) -> zmq.Socket[bytes]:
        router = self._context.socket(zmq.ROUTER)
        self._common(router)
        router.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        router.curve_server = True
        router.bind(listen)
        return router

    @property
    def endpoint(self) -> str:
        """Where the ROUTER listens, with the port that was chosen."""
        return str(self._router.getsockopt_string(zmq.LAST_ENDPOINT))

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], ...]:
        """What the loop polls for input."""
        return self._zap, self._router

    def connect(self, peer_key: bytes, endpoint: str) -> None:
        """Keep a connection to a peer; it comes up when the peer does, and only if the peer holds that key."""
        dealer = self._context.socket(zmq.DEALER)
        self._common(dealer)
        dealer.curve_serverkey = z85.encode(peer_key)
        dealer.setsockopt(zmq.IMMEDIATE, 1)
        dealer.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        dealer.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
        dealer.connect(endpoint)
        previous = self._dealers.pop(peer_key, None)
        if previous is not None:
            previous.close()
        self._dealers[peer_key] = dealer

    def send(self, peer_key: bytes, data: bytes) -> bool:
        """Hand bytes to a peer's queue; False when it is not connected or its queue is full."""
        dealer = self._dealers.get(peer_key)
        if dealer is None:
            return False
        try:
            dealer.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self) -> list[Arrived]:
        """Answer pending handshakes and take what has arrived, at most BATCH messages; never blocks."""
        while self._zap.poll(0):
            self._answer_handshake()
        arrived: list[Arrived] = []
        while len(arrived) < BATCH:
            try:
                frames = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            if len(frames) != 2:
                self.denied[Reason.MALFORMED] += 1
                continue
            arrived.append(Arrived(transport_key=bytes.fromhex(str(frames[1].get("User-Id"))), data=frames[1].bytes))
        return arrived

    def _answer_handshake(self) -> None:
        """One ZAP request (ZeroMQ RFC 27). Whatever goes wrong with it, that peer is refused and the handler lives."""
        version, request_id, *rest = self._zap.recv_multipart()
        user = b""
        try:
            domain, _address, _identity, mechanism, credential = rest
            admitted = domain == ZAP_DOMAIN and mechanism == b"CURVE" and self._admits(credential)
            user = credential.hex().encode() if admitted else b""
        except Exception:  # noqa: BLE001 - a fault in here must refuse one peer, not end admission for all
            self.denied["HANDLER_FAULT"] += 1
        status, text = (b"200", b"OK") if user else (b"400", b"no credentialed transport key")
        if not user:
            self.denied[Reason.UNKNOWN_PEER] += 1
        self._zap.send_multipart([version, request_id, status, text, user, b""])

    def close(self) -> None:
        """Let go of every socket at once."""
        self._context.destroy(linger=0)
