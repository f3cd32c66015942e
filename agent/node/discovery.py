"""Finds neighbours on the local network by multicast DNS (RFC 6762, 6763); results are unverified hints.

A hint names a transport key and an endpoint. The mesh tries the endpoint only for a key that already has a
credential, and CURVE proves who answers there. A false hint costs one connection attempt.
"""

import contextlib
import queue
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from radio.besidethread import started
from settlement.chain.credentials import Registry
from settlement.mesh import Mesh

if TYPE_CHECKING:
    from zeroconf import ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

SERVICE = "_bandpact._tcp.local."
KEY, NETWORK = b"key", b"network"
KEY_BYTES = 32
HINTS_MAX = 64
"""Most hints that wait for the node's loop; further ones are dropped, as announcements repeat."""
ASK_MS = 1000
NAMES_MAX = 20_000
"""Number of names after which the listener restarts: the library schedules a query for each name and forgets none."""
UNKNOWN_MAX = 16
"""Most names without an address that wait to be resolved; further ones are dropped, as announcements repeat."""
ANY = ("0.0.0.0", "::", "*")  # noqa: S104 - what means every address


class DiscoveryError(Exception):
    """Multicast DNS cannot be used on this host; the node works without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """An announcement that the holder of a transport key listens at an endpoint."""

    transport_key: bytes
    endpoint: str


def place_of(endpoint: str) -> tuple[str, int]:
    """Return host and port of `tcp://HOST:PORT`; an IPv6 host without its brackets."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    host = host.strip("[]").removeprefix("::ffff:")
    return host, int(port)


def endpoint_of(address: str, port: int) -> str:
    """Return `tcp://HOST:PORT`, with brackets around an IPv6 address."""
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"


def hints_of(info: "ServiceInfo", network: str) -> list[Hint]:
    """Return the hints in an announcement; none where it is malformed or of another network."""
    values = info.properties
    key, named = values.get(KEY) or b"", values.get(NETWORK) or b""
    if named != network.encode() or len(key) != 2 * KEY_BYTES or not info.port:
        return []
    try:
        transport_key = bytes.fromhex(key.decode("ascii"))
    except ValueError:
        return []
    addresses = info.parsed_scoped_addresses()
    return [Hint(transport_key=transport_key, endpoint=endpoint_of(address, info.port)) for address in addresses[:2]]


def _own_addresses(host: str) -> list[str]:
    """Return this node's reachable addresses: the one it listens on, or every address of this machine but loopback."""
    if host not in ANY:
        return [host]
    import ifaddr

    found = [ip.ip if ip.is_IPv4 else ip.ip[0] for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    return [str(one) for one in found if one != "::1" and not str(one).startswith(("127.", "fe80"))]


class Discovery:
    """Announces this node and collects announcements of others, in a thread of the zeroconf library."""

    def __init__(self, *, network: str, key: bytes, endpoint: str, interfaces: Iterable[str] | None = None) -> None:
        """Announce the holder of `key` at `endpoint`. Raises DiscoveryError."""
        from zeroconf import BadTypeInNameException, Zeroconf

        self._names = 0
        self._network, self._me = network, key
        self._hints: queue.Queue[Hint] = queue.Queue(HINTS_MAX)
        self._unknown: queue.Queue[str | None] = queue.Queue(UNKNOWN_MAX)
        self._asking = threading.Thread(target=self._ask, name="discovery", daemon=True)
        host, port = place_of(endpoint)
        try:
            self._zeroconf = Zeroconf(interfaces=list(interfaces)) if interfaces else Zeroconf()
            self._zeroconf.register_service(self._info(_own_addresses(host), port), strict=False)
            self._browser = self._listening()
        except (OSError, BadTypeInNameException) as exc:
            raise DiscoveryError(f"multicast DNS: {exc}; set discover = false in [mesh], or mend the network") from exc
        self._asking.start()

    def _info(self, addresses: list[str], port: int) -> "ServiceInfo":
        from zeroconf import ServiceInfo

        name = self._me.hex()[:16]
        return ServiceInfo(
            SERVICE,
            f"{name}.{SERVICE}",
            port=port,
            parsed_addresses=addresses,
            server=f"{name}.{socket.gethostname()}.local.",
            properties={KEY: self._me.hex().encode(), NETWORK: self._network.encode()},
        )

    def _changed(self, zeroconf: "Zeroconf", service_type: str, name: str, state_change: "ServiceStateChange") -> None:
        """Handle an announcement: a complete one counts at once; one without an address is queued to be resolved."""
        from zeroconf import ServiceInfo, ServiceStateChange

        self._names += 1
        if self._names >= NAMES_MAX and started(self._listen_anew, "discovery anew") is not None:
            self._names = 0
        if state_change is ServiceStateChange.Removed:
            return
        info = ServiceInfo(service_type, name)
        if info.load_from_cache(zeroconf):
            self._told(info)
        else:
            with contextlib.suppress(queue.Full):
                self._unknown.put_nowait(name)

    def _listen_anew(self) -> None:
        """Restart the listener, which drops the queries scheduled for every name heard so far."""
        with contextlib.suppress(Exception):  # the library may raise where it is being closed
            self._browser.cancel()
            self._browser = self._listening()

    def _listening(self) -> "ServiceBrowser":
        from zeroconf import ServiceBrowser

        return ServiceBrowser(self._zeroconf, SERVICE, handlers=[self._changed])

    def _ask(self) -> None:
        from zeroconf import ServiceInfo

        while (name := self._unknown.get()) is not None:
            info = ServiceInfo(SERVICE, name)
            with contextlib.suppress(Exception):  # the library may raise where it is being closed
                if info.request(self._zeroconf, ASK_MS):
                    self._told(info)

    def _told(self, info: "ServiceInfo") -> None:
        for hint in hints_of(info, self._network):
            self.heard(hint)

    def heard(self, hint: Hint) -> None:
        """Queue a hint for the node's loop, unless it is this node's own or too many wait."""
        if hint.transport_key != self._me:
            with contextlib.suppress(queue.Full):
                self._hints.put_nowait(hint)

    def take(self) -> list[Hint]:
        """Return the hints heard since the last call, without blocking."""
        found: list[Hint] = []
        with contextlib.suppress(queue.Empty):
            while len(found) < HINTS_MAX:
                found.append(self._hints.get_nowait())
        return found

    def close(self) -> None:
        """Withdraw the announcement and stop listening."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._unknown.get_nowait()
        self._unknown.put(None)
        self._zeroconf.close()
        self._asking.join(2 * ASK_MS / 1000)


class Hints:
    """Passes hints from discovery to the mesh, where discovery is configured."""

    def __init__(self, discovery: Discovery | None, mesh: Mesh, registry: Registry) -> None:
        self._discovery, self._mesh, self._registry = discovery, mesh, registry

    def follow(self) -> list[tuple[str, str]]:
        """Try each hinted endpoint of a credentialed neighbour; returns the names and endpoints tried."""
        heard = self._discovery.take() if self._discovery is not None else []
        tried = [hint for hint in heard if self._mesh.hint(hint.transport_key, hint.endpoint)]
        named = [(self._registry.by_transport(hint.transport_key), hint.endpoint) for hint in tried]
        return [(peer.name if peer is not None else "", endpoint) for peer, endpoint in named]

    def close(self) -> None:
        """Stop discovery."""
        if self._discovery is not None:
            self._discovery.close()
