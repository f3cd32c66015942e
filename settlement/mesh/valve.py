"""Closes connections that would fill this node's memory, which libzmq itself does not do.

MAXMSGSIZE limits one part of a message, and the queue limits the number of whole messages, but nothing limits the parts
of one message: libzmq 4.3.5 stores all of them until the last (measured: 600 MB for a single message of one peer). So
the bytes that the kernel received on each connection are compared with those that came out of the socket in whole
messages; a connection with too large a difference is closed. The number of connections, also of strangers, is limited
too: above the limit one connection of the address with the most is closed, and each key may have only a few. So neither
a stranger nor a neighbour can keep others out.
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
"""Offset of `tcpi_bytes_received` in `struct tcp_info` (linux/tcp.h); kernels only append to this struct."""
IDLE_BYTES_PER_S = 64
"""Traffic of heartbeats between messages, bytes a second."""
WATCH_NS = 10_000_000
JOIN_S = 5.0
NS = 1_000_000_000
CONNECTIONS = "CONNECTIONS"
OF_ONE_KEY_MAX = 8
"""Most connections with messages of one key: a peer has one, and for a while old ones that its host has dropped."""


class Borrowed(socket.socket):
    """A socket object over libzmq's own descriptor of a connection, for `getsockopt`; it never closes the descriptor.

    The same call through ctypes takes three times as long, and it is made for every connection a hundred times a
    second.
    """

    def __del__(self) -> None:
        """Leave the descriptor open: it belongs to libzmq."""
        self.detach()


@dataclass(slots=True)
class _Connection:
    """A connection, by libzmq's own descriptor; a duplicate of each would double the number of open files."""

    handle: Borrowed
    peer: object
    """Address and port of the other end, to check that the descriptor's number still means this connection."""
    origin: str
    delivered_at_bytes: int
    delivered_at_ns: int
    key: bytes | None = None
    """The transport key of the messages on this connection; None before the first message."""

    def unread(self, now_ns: int) -> int:
        idle_s = (now_ns - self.delivered_at_ns) // NS + 1
        unread = _received(self.handle) - self.delivered_at_bytes - idle_s * IDLE_BYTES_PER_S
        return unread if unread > 0 else 0


def _received(handle: Borrowed) -> int:
    """Return the bytes that the kernel received on a connection; 0 where it does not say."""
    try:
        info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    except OSError:
        return 0
    return int(RECEIVED.unpack_from(info, RECEIVED_AT)[0]) if len(info) >= TCP_INFO_BYTES else 0


@contextlib.contextmanager
def _handle(descriptor: int) -> Iterator[socket.socket]:
    """Yield a socket over a duplicate of the descriptor, whose number cannot be reused meanwhile.

    Where no descriptor is left, the socket is over libzmq's own. Raises OSError where the connection is gone.
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
    """Return a connection's origin: an IPv4 address, or the /64 network of an IPv6 address, which one host may own.

    "" where it is no address.
    """
    try:
        address = ip_address(str(peer[0]).partition("%")[0])
    except (ValueError, IndexError):
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address) >> 64 << 64, 64)))


class Valve:
    """Watches the connections that one socket accepted or made.

    A thread limits their number, because strangers connect also while the node is busy, and every connection uses one
    of the process's descriptors. For the unread bytes the socket's owner calls `watch` and `delivered`.
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
        """Track connections as they open and close, until the event monitor stops; runs in the thread."""
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
        """Return the connection to close: at the origin with the most, the oldest without any message.

        If all of them had messages, it is the oldest of the key with the most there. A peer that is cut without fault
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
