"""Closes connections that would fill this node's memory, which libzmq itself does not do.

MAXMSGSIZE bounds one part of a message and the queue bounds whole messages, but a message of endlessly many parts is
neither: libzmq 4.3.5 keeps all of them until the last (600 MB after one peer's single message, tried). So what the
kernel received on each connection is compared with what came out of the socket as whole messages; a connection with
too much in between is shut. The same watch bounds the number of connections, strangers' included: where there are too
many, one gives way of the address that holds most of them, and no key holds more than a few, so that neither a stranger
nor a neighbour keeps the others out.
"""

import contextlib
import errno
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address

import zmq

from settlement.core.reasons import Reason
from settlement.mesh.limits import Limits

TCP_INFO_BYTES = 136
RECEIVED = struct.Struct("=Q")
RECEIVED_AT = 128
"""Where linux/tcp.h keeps `tcpi_bytes_received` in `struct tcp_info`; kernels only append to it."""
IDLE_BYTES_PER_S = 64
"""Traffic of heartbeats between messages, bytes a second."""
WATCH_NS = 10_000_000
JOIN_S = 5.0
NS = 1_000_000_000
CONNECTIONS = "CONNECTIONS"
OF_ONE_KEY_MAX = 8
"""Connections that messages of one key come by: a peer holds one, and for a while those that its host has forgotten."""


class Borrowed(socket.socket):
    """libzmq's own descriptor of a connection, to ask the kernel about it; it is never closed here.

    By way of ctypes the same question takes three times as long, and it is asked of all a hundred times a second.
    """

    def __del__(self) -> None:
        """The descriptor stays open: it is libzmq's."""
        self.detach()


@dataclass(slots=True)
class _Connection:
    """A connection by libzmq's own descriptor: one of ours for each would take twice the files that strangers take."""

    handle: Borrowed
    peer: object
    """Address and port at the other end: whether the descriptor's number still means this connection."""
    origin: str
    delivered_at_bytes: int
    delivered_at_ns: int
    key: bytes | None = None
    """The transport key that messages came under; None before the first."""

    def unread(self, now_ns: int) -> int:
        idle_s = (now_ns - self.delivered_at_ns) // NS + 1
        unread = _received(self.handle) - self.delivered_at_bytes - idle_s * IDLE_BYTES_PER_S
        return unread if unread > 0 else 0


def _received(handle: Borrowed) -> int:
    """Bytes the kernel received on a connection; 0 where it does not say."""
    try:
        info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    except OSError:
        return 0
    return int(RECEIVED.unpack_from(info, RECEIVED_AT)[0]) if len(info) >= TCP_INFO_BYTES else 0


@contextlib.contextmanager
def _handle(descriptor: int) -> Iterator[socket.socket]:
    """A descriptor of our own for a while, which cannot come to mean another connection; libzmq's where none is left.

    Raises OSError where there is no such connection any more.
    """
    try:
        handle, ours = socket.socket(fileno=socket.dup(descriptor)), True
    except OSError as exc:
        if exc.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        handle, ours = socket.socket(fileno=descriptor), False
    try:
        yield handle
    finally:
        if ours:
            handle.close()
        else:
            handle.detach()


def _origin(peer: tuple[object, ...]) -> str:
    """Where a connection comes from: an IPv4 address, or the 64 bits of an IPv6 one that one host may have whole."""
    try:
        address = ip_address(str(peer[0]).partition("%")[0])
    except (ValueError, IndexError):
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address) >> 64 << 64, 64)))


class Valve:
    """Watches the connections that one socket accepted, or made.

    That there are not too many is seen to by a thread of its own: strangers connect while the node is busy, too, and
    what is accepted uses up what its process may open. The rest is the owner's, who calls `watch` and `delivered`.
    """

    def __init__(self, watched: "zmq.Socket[bytes]", limits: Limits) -> None:
        self._limits = limits
        self.cut: Counter[str] = Counter()
        self._connections: dict[int, _Connection] = {}
        self._silent: dict[str, dict[int, None]] = {}
        self._spoken: dict[str, dict[int, None]] = {}
        """Connections by origin, the oldest first: those without any message yet, and the others."""
        self._lock = threading.Lock()
        self._watched = watched
        self._next_ns = 0
        events = zmq.Event.ACCEPTED | zmq.Event.CONNECTED | zmq.Event.DISCONNECTED | zmq.Event.CLOSED
        self._events = watched.get_monitor_socket(events | zmq.Event.MONITOR_STOPPED)
        self._events.linger = 0
        self._thread = threading.Thread(target=self._follow, name="connections", daemon=True)
        self._thread.start()

    def delivered(self, descriptor: int, key: bytes, now_ns: int) -> None:
        """Note that a whole message of a transport key's holder came out of that connection."""
        with self._lock:
            connection = self._connections.get(descriptor)
            if connection is None:
                return
            connection.delivered_at_bytes, connection.delivered_at_ns = _received(connection.handle), now_ns
            if connection.key is not None:
                return
            connection.key = key
            del self._silent[connection.origin][descriptor]
            self._spoken.setdefault(connection.origin, {})[descriptor] = None
            theirs = [number for number, one in self._connections.items() if one.key == key]
            if len(theirs) > OF_ONE_KEY_MAX:
                self._shut(theirs[0], CONNECTIONS)

    def drained(self, now_ns: int) -> None:
        """Note that everything received so far on any connection came out of the socket."""
        with self._lock:
            for connection in self._connections.values():
                connection.delivered_at_bytes, connection.delivered_at_ns = _received(connection.handle), now_ns

    def watch(self, now_ns: int) -> None:
        """Close connections that hold more unread bytes than allowed."""
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + WATCH_NS
        with self._lock:
            unread = {number: c.unread(now_ns) for number, c in self._connections.items()}
            total = sum(unread.values())
            if total <= self._limits.unread_bytes and total <= self._limits.unread_bytes_total:
                return
            for number in sorted(unread, key=lambda n: unread[n], reverse=True):
                if unread[number] <= self._limits.unread_bytes and total <= self._limits.unread_bytes_total:
                    break
                total -= unread[number]
                self._shut(number, Reason.TOO_LARGE.value)

    def _follow(self) -> None:
        """Take in connections as they come and go, until the socket is watched no more."""
        while True:
            kind, descriptor = struct.unpack("=Hi", self._events.recv())
            self._events.recv()
            if kind == zmq.Event.MONITOR_STOPPED:
                return
            with self._lock:
                self._forget(descriptor)
                if kind in (zmq.Event.ACCEPTED, zmq.Event.CONNECTED):
                    self._accept(descriptor)

    def _accept(self, descriptor: int) -> None:
        try:
            handle = Borrowed(fileno=descriptor)
            peer = handle.getpeername()
        except OSError:
            return  # it is gone already
        origin = _origin(peer)
        self._connections[descriptor] = _Connection(handle, peer, origin, 0, time.monotonic_ns())
        self._silent.setdefault(origin, {})[descriptor] = None
        if len(self._connections) > self._limits.connections:
            self._shut(self._spare(), CONNECTIONS)

    def _spare(self) -> int:
        """The connection that gives way: of the address with most, the oldest of those that nobody has spoken on.

        Where somebody has on each, the oldest of the key that holds most of them. Whoever is cut without reason
        connects again.
        """
        silent, spoken = self._silent, self._spoken
        crowded = max(silent.keys() | spoken.keys(), key=lambda at: len(silent.get(at, ())) + len(spoken.get(at, ())))
        if silent.get(crowded):
            return next(iter(silent[crowded]))
        keys = Counter(self._connections[number].key for number in spoken[crowded])
        most = keys.most_common(1)[0][0]
        return next(number for number in spoken[crowded] if self._connections[number].key == most)

    def _shut(self, number: int, cause: str) -> None:
        """Close a connection; libzmq then drops what it holds of it."""
        self.cut[cause] += 1
        with contextlib.suppress(OSError), _handle(number) as handle:  # the other side was faster
            if handle.getpeername() == self._connections[number].peer:
                handle.shutdown(socket.SHUT_RDWR)
        self._forget(number)

    def _forget(self, descriptor: int) -> None:
        connection = self._connections.pop(descriptor, None)
        if connection is None:
            return
        for kept in (self._silent, self._spoken):
            theirs = kept.get(connection.origin, {})
            theirs.pop(descriptor, None)
            if not theirs:
                kept.pop(connection.origin, None)

    @property
    def open(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    def close(self) -> None:
        """Stop watching the socket."""
        self._watched.disable_monitor()
        self._thread.join(JOIN_S)
        self._events.close()
        for descriptor in list(self._connections):
            self._forget(descriptor)
