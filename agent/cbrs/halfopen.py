"""Bounds connections to the base stations' endpoint before their TLS handshake is done, in number and in time.

A TCP connection needs no certificate, so anybody can open one. At most `HALF_OPEN_MAX` are held, each for at most
`HANDSHAKE_S`; when all places are taken, a new connection replaces another (`giving_way`). Once its handshake is
done, a connection is handed to the protocol that serves HTTP, with the bytes it sent meanwhile.
"""

import asyncio
import secrets
import ssl
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, ClassVar, Final

HANDSHAKE_S = 5.0
"""Seconds after which a connection whose handshake is not done is closed."""
HALF_OPEN_MAX: Final = 128
"""Most connections without a certificate yet; a good handshake takes a fraction of a second."""
GOOD_HANDSHAKE_S: Final = 1.0
"""Seconds within which a base station's handshake is done, also over a slow link."""
NETWORK_BITS: Final = 64
"""Prefix length of one subscriber's IPv6 addresses, which all count as one sender."""


def giving_way(held: Sequence[tuple[str, float]], now_s: float, draw: Callable[[int], int] = secrets.randbelow) -> int:
    """Return the index in `held` of the half-open connection that a new one replaces.

    The connection is one of the sender with most places, so that a flood from one sender displaces no other: its first,
    or, where that is younger than `GOOD_HANDSHAKE_S`, one at random, as the oldest may be a good one.

    Args:
        held: sender and time of opening (monotonic s) of each connection, the oldest first; not empty.
        now_s: monotonic now.
        draw: returns a random number from 0 to below its argument.
    """
    places = Counter(sender for sender, _ in held)
    most = max(places.values())
    crowd = [number for number, (sender, _) in enumerate(held) if places[sender] == most]
    if now_s - held[crowd[0]][1] >= GOOD_HANDSHAKE_S:
        return crowd[0]
    return crowd[draw(len(crowd))]


def sender_of(peername: Any) -> str:
    """Return the sender of a socket's peer address: an IPv4 address, or the first `NETWORK_BITS` of an IPv6 address."""
    try:
        address: IPv4Address | IPv6Address = ip_address(str(peername[0]).partition("%")[0])
    except (TypeError, IndexError, ValueError):
        return str(peername)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{int(address) >> (128 - NETWORK_BITS):x}"
    return str(address)


class HalfOpen:
    """The half-open connections of one server."""

    def __init__(self) -> None:
        self._held: dict[asyncio.Transport, tuple[str, float]] = {}

    def add(self, transport: asyncio.Transport) -> None:
        """Add a new connection; it replaces another where all places are taken."""
        now_s = time.monotonic()
        while len(self._held) >= HALF_OPEN_MAX:
            found = list(self._held)[giving_way(list(self._held.values()), now_s)]
            del self._held[found]
            found.abort()
        self._held[transport] = (sender_of(transport.get_extra_info("peername")), now_s)

    def done(self, transport: asyncio.Transport) -> None:
        """Remove a connection whose handshake has ended, with success or without."""
        self._held.pop(transport, None)

    def end(self) -> None:
        """Close all half-open connections."""
        while self._held:
            self._held.popitem()[0].abort()

    def __len__(self) -> int:
        return len(self._held)


class _Early(asyncio.Protocol):
    """Keeps the bytes that a connection sends between the end of its handshake and its hand-over."""

    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data


class TlsDoor(asyncio.Protocol):
    """A TCP connection that starts TLS and is then handed to `inner`; uvicorn makes it instead of its own protocol."""

    inner: ClassVar[Callable[..., asyncio.Protocol]]
    """Makes the protocol that serves a connection after its handshake, from uvicorn's arguments."""
    context: ClassVar[ssl.SSLContext]
    half_open: ClassVar[HalfOpen]
    _tasks: ClassVar[set["asyncio.Task[None]"]] = set()
    """Handshakes in progress: asyncio itself keeps only weak references to tasks."""

    def __init__(self, **given: Any) -> None:
        self._given = given

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's word on what a stream's transport is
        transport.pause_reading()
        self.half_open.add(transport)
        task = asyncio.get_running_loop().create_task(self._shake_hands(transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        early = _Early()
        try:
            made = await asyncio.get_running_loop().start_tls(
                transport, early, self.context, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError as exc:  # no TLS, bad certificate, or too late: ssl.SSLError, ConnectionError, TimeoutError
            # Its traceback holds the connection's 256 KiB in a cycle, which Python collects by object count, not size.
            traceback.clear_frames(exc.__traceback__)
            return
        finally:
            self.half_open.done(transport)
        if made is None:  # the connection has ended meanwhile
            return
        served = type(self).inner(**self._given)
        made.set_protocol(served)
        served.connection_made(made)
        if early.data:
            served.data_received(early.data)
