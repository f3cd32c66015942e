"""Connections to the endpoint for base stations until their TLS handshake is done: bounded in number and in time.

A TCP connection needs no certificate, so anybody can open one. `HALF_OPEN_MAX` of them are held at the most, each for
`HANDSHAKE_S` at the most; where all places are taken, a new connection takes the place of another (`giving_way`). Once
its handshake is done, a connection is handed to the protocol that serves HTTP, with what it sent meanwhile.
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
"""A connection that has not shown its certificate by then is closed."""
HALF_OPEN_MAX: Final = 128
"""Connections without a certificate yet: a good handshake takes a part of a second."""
GOOD_HANDSHAKE_S: Final = 1.0
"""A handshake of a base station is done by then, also over a slow link."""
NETWORK_BITS: Final = 64
"""One subscriber's share of IPv6 addresses: all of them count as one sender."""


def giving_way(held: Sequence[tuple[str, float]], now_s: float, draw: Callable[[int], int] = secrets.randbelow) -> int:
    """Which half-open connection gives its place to a new one, as an index into `held`.

    It is one of the sender that holds most places, so that a flood from one sender leaves all others alone: the oldest,
    or, where that is younger than `GOOD_HANDSHAKE_S`, one drawn by chance, as the oldest may be a good one.

    Args:
        held: sender and time of opening (monotonic s) of each connection, the oldest first; not empty.
        now_s: monotonic now.
        draw: a random number from 0 to below its argument.
    """
    places = Counter(sender for sender, _ in held)
    most = max(places.values())
    crowd = [number for number, (sender, _) in enumerate(held) if places[sender] == most]
    if now_s - held[crowd[0]][1] >= GOOD_HANDSHAKE_S:
        return crowd[0]
    return crowd[draw(len(crowd))]


def sender_of(peername: Any) -> str:
    """The sender behind a socket's peer address: an IPv4 address, or the first `NETWORK_BITS` of an IPv6 address."""
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
        """Take a new connection in; another one gives way where all places are taken."""
        now_s = time.monotonic()
        while len(self._held) >= HALF_OPEN_MAX:
            found = list(self._held)[giving_way(list(self._held.values()), now_s)]
            del self._held[found]
            found.abort()
        self._held[transport] = (sender_of(transport.get_extra_info("peername")), now_s)

    def done(self, transport: asyncio.Transport) -> None:
        """Its handshake is over, well or not."""
        self._held.pop(transport, None)

    def end(self) -> None:
        """Close all of them."""
        while self._held:
            self._held.popitem()[0].abort()

    def __len__(self) -> int:
        return len(self._held)


class _Early(asyncio.Protocol):
    """Keeps what a connection sends between the end of its handshake and the turn in which it is handed on."""

    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data


class TlsDoor(asyncio.Protocol):
    """A connection of TCP that becomes one of TLS, and then `inner`'s; uvicorn makes it in place of its protocol."""

    inner: ClassVar[Callable[..., asyncio.Protocol]]
    """Makes the protocol that serves a connection whose handshake is done, of what uvicorn gives this one."""
    context: ClassVar[ssl.SSLContext]
    half_open: ClassVar[HalfOpen]
    _tasks: ClassVar[set["asyncio.Task[None]"]] = set()
    """Handshakes that are under way: asyncio itself holds no task for good."""

    def __init__(self, **given: Any) -> None:
        self._given = given

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
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
        except OSError as exc:  # no TLS, no good certificate, too late: ssl.SSLError, ConnectionError, TimeoutError
            # Its traceback holds the connection and its 256 KiB in a cycle, which Python looks for by number, not size.
            traceback.clear_frames(exc.__traceback__)
            return
        finally:
            self.half_open.done(transport)
        if made is None:  # the connection ended meanwhile
            return
        served = type(self).inner(**self._given)
        made.set_protocol(served)
        served.connection_made(made)
        if early.data:
            served.data_received(early.data)
