"""Cuts connections that fill this node's memory, which libzmq itself does not.

MAXMSGSIZE bounds one part of a message and the queue bounds whole messages, but a message of endlessly many parts is
neither: libzmq 4.3.5 keeps all of them until the last (600 MB after one peer's single message, tried). So what the
kernel received on each connection is compared with what came out of the socket as whole messages; a connection with
too much in between is shut. The same watch bounds the number of connections, strangers' included: where there are too
many, one gives way of the address that holds most of them, and no key holds more than a few, so that neither a stranger
nor a neighbour keeps the others out.
"""

import contextlib
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address

import zmq

from settlement.core.reasons import Reason
from settlement.mesh.door import readable
from settlement.mesh.limits import Limits

TCP_INFO_BYTES = 136
RECEIVED = struct.Struct("=Q")
RECEIVED_AT = 128
"""Where linux/tcp.h keeps `tcpi_bytes_received` in `struct tcp_info`; kernels only append to it."""
IDLE_BYTES_PER_S = 64
"""What heartbeats add between messages."""
WATCH_NS = 10_000_000
NS = 1_000_000_000
CONNECTIONS = "CONNECTIONS"
OF_ONE_KEY_MAX = 8
"""Connections that messages of one key come by: a peer holds one, and for a while those that its host has forgotten."""


@dataclass(slots=True)
class _Connection:
    """A handle of our own, so that its number cannot come to mean another connection."""

    handle: socket.socket
    origin: str
    delivered_at_bytes: int
    delivered_at_ns: int
    key: bytes | None = None
    """The transport key that messages came under; None before the first."""

    def unread(self, now_ns: int) -> int:
        idle_s = (now_ns - self.delivered_at_ns) // NS + 1
        unread = _received(self.handle) - self.delivered_at_bytes - idle_s * IDLE_BYTES_PER_S
        return unread if unread > 0 else 0


def _received(handle: socket.socket) -> int:
    """Bytes the kernel received on a connection; 0 where it does not say."""
    try:
        info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    except OSError:
        return 0
    return int(RECEIVED.unpack_from(info, RECEIVED_AT)[0]) if len(info) >= TCP_INFO_BYTES else 0


def _origin(handle: socket.socket) -> str:
    """Where a connection comes from: an IPv4 address, or the 64 bits of an IPv6 one that one host may have whole."""
    try:
        address = ip_address(str(handle.getpeername()[0]).partition("%")[0])
    except (OSError, ValueError, IndexError):
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address) >> 64 << 64, 64)))


class Valve:
    """Watches the connections that one socket accepted, or made."""

    def __init__(self, watched: "zmq.Socket[bytes]", limits: Limits) -> None:
        self._limits = limits
        self.cut: Counter[str] = Counter()
        self._connections: dict[int, _Connection] = {}
        self._watched = watched
        self._next_ns = 0
        events = zmq.Event.ACCEPTED | zmq.Event.CONNECTED | zmq.Event.DISCONNECTED | zmq.Event.CLOSED
        self.events = watched.get_monitor_socket(events)
        self.events.linger = 0

    def delivered(self, descriptor: int, key: bytes, now_ns: int) -> None:
        """A whole message of the holder of a transport key came out of that connection."""
        connection = self._connections.get(descriptor)
        if connection is None:
            return
        connection.delivered_at_bytes, connection.delivered_at_ns = _received(connection.handle), now_ns
        if connection.key is None:
            connection.key = key
            theirs = [number for number, one in self._connections.items() if one.key == key]
            if len(theirs) > OF_ONE_KEY_MAX:
                self._shut(theirs[0], CONNECTIONS)

    def drained(self, now_ns: int) -> None:
        """All that came on any connection so far came out of the socket."""
        for connection in self._connections.values():
            connection.delivered_at_bytes, connection.delivered_at_ns = _received(connection.handle), now_ns

    def watch(self, now_ns: int) -> None:
        """Follow connections as they come and go, and cut those over the limits."""
        while readable(self.events):
            self._follow(now_ns)
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + WATCH_NS
        unread = {number: c.unread(now_ns) for number, c in self._connections.items()}
        total = sum(unread.values())
        if total <= self._limits.unread_bytes and total <= self._limits.unread_bytes_total:
            return
        for number in sorted(unread, key=lambda n: unread[n], reverse=True):
            if unread[number] <= self._limits.unread_bytes and total <= self._limits.unread_bytes_total:
                break
            total -= unread[number]
            self._shut(number, Reason.TOO_LARGE.value)

    def _follow(self, now_ns: int) -> None:
        kind, descriptor = struct.unpack("=Hi", self.events.recv())
        self.events.recv()
        if kind in (zmq.Event.ACCEPTED, zmq.Event.CONNECTED):
            self._forget(descriptor)
            self._accept(descriptor, now_ns)
        else:
            self._forget(descriptor)

    def _accept(self, descriptor: int, now_ns: int) -> None:
        try:
            handle = socket.socket(fileno=socket.dup(descriptor))
        except OSError:
            return  # gone already
        self._connections[descriptor] = _Connection(handle, _origin(handle), 0, now_ns)
        if len(self._connections) > self._limits.connections:
            self._shut(self._spare(), CONNECTIONS)

    def _spare(self) -> int:
        """The connection that gives way: of the address with most, the oldest of those that nobody has spoken on.

        Where somebody has on each, the oldest of the key that holds most of them. Whoever is cut without reason
        connects again.
        """
        origins = Counter(one.origin for one in self._connections.values())
        (crowded, _), *_ = origins.most_common(1)
        theirs = {number: one.key for number, one in self._connections.items() if one.origin == crowded}
        keys = Counter(theirs.values())
        most = None if None in keys else keys.most_common(1)[0][0]
        return next(number for number, key in theirs.items() if key == most)

    def _shut(self, descriptor: int, cause: str) -> None:
        """End a connection; libzmq then drops what it holds of it."""
        self.cut[cause] += 1
        with contextlib.suppress(OSError):  # the other side was faster
            self._connections[descriptor].handle.shutdown(socket.SHUT_RDWR)
        self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        connection = self._connections.pop(descriptor, None)
        if connection is not None:
            connection.handle.close()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def close(self) -> None:
        """Let go of the handles."""
        for descriptor in list(self._connections):
            self._forget(descriptor)
        self._watched.disable_monitor()
        self.events.close()
