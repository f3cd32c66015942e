"""Neighbours heard of by multicast DNS: found where they are, and never trusted for it."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
import zmq
from zeroconf import DNSOutgoing, DNSPointer, ServiceInfo, ServiceStateChange
from zeroconf.const import _CLASS_IN, _FLAGS_AA, _FLAGS_QR_RESPONSE, _TYPE_PTR

from agent.config.settings import MeshSection
from agent.node.discovery import (
    HINTS_MAX,
    KEY,
    NETWORK,
    SERVICE,
    Discovery,
    DiscoveryError,
    Hint,
    endpoint_of,
    hints_of,
    place_of,
)
from agent.service.snapshot import mesh_line
from settlement.mesh import Mesh, TransportKey

LOOPBACK = "127.0.0.1"
WAIT_S = 20.0


def announced(**changes: object) -> ServiceInfo:
    values: dict[str, object] = {"key": bytes(32).hex().encode(), "network": b"n", "port": 4700, **changes}
    return ServiceInfo(
        SERVICE,
        f"x.{SERVICE}",
        port=values["port"],  # type: ignore[arg-type]
        parsed_addresses=["192.0.2.7", "2001:db8::7", "192.0.2.8"],
        server="x.local.",
        properties={KEY: values["key"], NETWORK: values["network"]},
    )


def test_an_announcement_is_read() -> None:
    found = hints_of(announced(), "n")
    assert found[0] == Hint(transport_key=bytes(32), endpoint="tcp://192.0.2.7:4700")
    assert len(found) == 2, "no more than the mesh would try"


@pytest.mark.attack(46)
@pytest.mark.parametrize(
    "changes",
    [{"network": b"other"}, {"key": b""}, {"key": b"z" * 64}, {"key": b"00" * 31}, {"key": b"\xff" * 64}, {"port": 0}],
)
def test_an_announcement_that_is_none_is_no_hint(changes: dict[str, object]) -> None:
    assert hints_of(announced(**changes), "n") == []


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("tcp://127.0.0.1:4700", ("127.0.0.1", 4700)),
        ("tcp://[::ffff:10.0.0.1]:4700", ("10.0.0.1", 4700)),
        ("tcp://[fd00::1]:4700", ("fd00::1", 4700)),
        ("tcp://[::]:4700", ("::", 4700)),
    ],
)
def test_places(endpoint: str, place: tuple[str, int]) -> None:
    assert place_of(endpoint) == place


def test_an_ipv6_place_has_brackets() -> None:
    assert endpoint_of("fd00::1", 1) == "tcp://[fd00::1]:1"


@pytest.fixture
def neighbours() -> Iterator[tuple[Mesh, Mesh, list[TransportKey]]]:
    keys = [TransportKey.generate() for _ in range(3)]
    credentialed = {key.public for key in keys[:2]}
    a, b = (Mesh(key, "tcp://127.0.0.1:*", credentialed.__contains__) for key in keys[:2])
    yield a, b, keys
    a.close()
    b.close()


def on_loopback(mesh: Mesh, key: TransportKey, network: str = "n") -> Discovery:
    try:
        return Discovery(network=network, key=key.public, endpoint=mesh.endpoint, interfaces=[LOOPBACK])
    except DiscoveryError as exc:  # pragma: no cover - depends on the machine
        pytest.skip(str(exc))


@pytest.fixture
def here(neighbours: tuple[Mesh, Mesh, list[TransportKey]]) -> Iterator[Discovery]:
    """The first of the neighbours, listening for announcements."""
    mesh, _, keys = neighbours
    found = on_loopback(mesh, keys[0])
    yield found
    found.close()


def comes_true(told: Callable[[], bool]) -> bool:
    """Is it so, in time?"""
    deadline = time.monotonic() + WAIT_S
    while not told() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return told()


def hears(discovery: Discovery, key: bytes) -> bool:
    """Is a hint of this key heard, in time?"""
    found = set[bytes]()

    def heard() -> bool:
        found.update(hint.transport_key for hint in discovery.take())
        return key in found

    return comes_true(heard)


def hears_a_newcomer(discovery: Discovery, mesh: Mesh, key: TransportKey) -> bool:
    """Is a neighbour heard that begins to announce itself only now?"""
    there = on_loopback(mesh, key)
    try:
        return hears(discovery, key.public)
    finally:
        there.close()


def announce_names(names: Iterable[str]) -> None:
    """Announce names on loopback, and nothing of where they are."""
    said = DNSOutgoing(_FLAGS_QR_RESPONSE | _FLAGS_AA)
    for name in names:
        said.add_answer_at_time(DNSPointer(SERVICE, _TYPE_PTR, _CLASS_IN, 4500, f"{name}.{SERVICE}"), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        for packet in said.packets():
            sender.sendto(packet, ("224.0.0.251", 5353))


@pytest.mark.attack(65)
def test_names_that_nobody_has_hold_up_no_announcement(
    neighbours: tuple[Mesh, Mesh, list[TransportKey]], here: Discovery
) -> None:
    """Whoever shares the network may announce thousands of names a second; each was asked for, a second long."""
    _, b, keys = neighbours
    announce_names(f"n{number}" for number in range(100))
    assert comes_true(lambda: here._names >= 100)
    assert hears_a_newcomer(here, b, keys[1])


@pytest.mark.attack(65)
def test_after_very_many_names_it_is_listened_anew_and_goes_on(
    neighbours: tuple[Mesh, Mesh, list[TransportKey]], here: Discovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, b, keys = neighbours
    monkeypatch.setattr("agent.node.discovery.NAMES_MAX", 300)
    before = here._browser
    for number in range(300):
        here._changed(here._zeroconf, SERVICE, f"n{number}.{SERVICE}", ServiceStateChange.Removed)
    assert comes_true(lambda: here._browser is not before)
    assert hears_a_newcomer(here, b, keys[1])


@pytest.mark.attack(46)
def test_neighbours_find_each_other_and_nobody_else(neighbours: tuple[Mesh, Mesh, list[TransportKey]]) -> None:
    a, b, keys = neighbours
    stranger = Mesh(keys[2], "tcp://127.0.0.1:*", lambda _: True)
    discoveries = [on_loopback(b, keys[1]), on_loopback(stranger, keys[2]), on_loopback(a, keys[0])]
    heard: dict[bytes, bool] = {}
    poller = zmq.Poller()
    for each in (*a.sockets, *b.sockets, *stranger.sockets):
        poller.register(each, zmq.POLLIN)
    deadline = time.monotonic() + WAIT_S
    arrived: list[bytes] = []
    try:
        while len(heard) < 2 or not arrived:
            assert time.monotonic() < deadline, (heard, arrived)
            for hint in discoveries[2].take():
                heard[hint.transport_key] = a.hint(hint.transport_key, hint.endpoint) or heard.get(
                    hint.transport_key, False
                )
            a.send(keys[1].public, b"found")
            poller.poll(20)
            a.receive()
            stranger.receive()
            arrived += [message.data for message in b.receive() if message.transport_key == keys[0].public]
        assert heard == {keys[1].public: True, keys[2].public: False}
        assert not a.send(keys[2].public, b"to a stranger")
    finally:
        for discovery in discoveries:
            discovery.close()
        stranger.close()


def test_what_waits_is_bounded(here: Discovery) -> None:
    for _ in range(3 * HINTS_MAX):
        here.heard(Hint(transport_key=bytes(32), endpoint="tcp://192.0.2.7:1"))
    assert len(here.take()) == HINTS_MAX
    assert here.take() == []


def test_status_shows_the_mesh() -> None:
    limits = MeshSection(messages_per_s=50, discover=True).model_dump()
    line = mesh_line({"connections": 3, "turned_away": {"RATE": 2}, "limits": limits})
    assert line == "mesh   3 of 512 connections, 50/s and 4 MiB/s each; discovery on; turned away: 2 RATE"
