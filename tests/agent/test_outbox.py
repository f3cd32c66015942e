"""The outbox: order, bounds, growing pauses, the same bytes."""

from dataclasses import dataclass, field

import pytest

from agent.node.outbox import KEEP_NS, PAUSE_NS, PAUSE_NS_MAX, WAITING_BYTES_MAX, Outbox
from settlement.state.step import Outgoing

HER, HIM = b"her", b"him"


@dataclass
class Peer:
    transport_key: bytes | None


class Registry:
    def get(self, subject: bytes) -> Peer | None:
        return Peer(subject) if subject in (HER, HIM) else None


@dataclass
class Wire:
    up: set[bytes] = field(default_factory=set)
    tries: list[tuple[bytes, bytes]] = field(default_factory=list)
    sent: list[tuple[bytes, bytes]] = field(default_factory=list)

    def send(self, peer: bytes, data: bytes) -> bool:
        self.tries.append((peer, data))
        if peer in self.up:
            self.sent.append((peer, data))
        return peer in self.up


@pytest.fixture
def wire() -> Wire:
    return Wire()


def outbox(wire: Wire, seed: int = 1) -> Outbox:
    return Outbox(wire, Registry(), seed=seed)  # type: ignore[arg-type]


def test_what_waited_goes_first_and_unchanged(wire: Wire) -> None:
    box = outbox(wire)
    box.send(Outgoing(to=HER, data=b"1"), 0)
    wire.up.add(HER)
    box.send(Outgoing(to=HER, data=b"2"), 1)
    assert wire.sent == []
    box.retry(2 * PAUSE_NS)
    assert wire.sent == [(HER, b"1"), (HER, b"2")]
    assert box.waiting == 0
    box.send(Outgoing(to=HER, data=b"3"), 3)
    assert wire.sent[-1] == (HER, b"3")


def test_one_who_is_away_does_not_hold_up_another(wire: Wire) -> None:
    wire.up.add(HIM)
    box = outbox(wire)
    box.send(Outgoing(to=HER, data=b"1"), 0)
    box.send(Outgoing(to=HIM, data=b"2"), 0)
    assert wire.sent == [(HIM, b"2")]


def pauses(wire: Wire, seed: int) -> list[int]:
    """When the outbox tries, watched every millisecond for five seconds."""
    box, tried = outbox(wire, seed), []
    box.send(Outgoing(to=HER, data=b"1"), 0)
    for now_ns in range(0, 5_000_000_000, 1_000_000):
        before = len(wire.tries)
        box.retry(now_ns)
        tried += [now_ns] if len(wire.tries) > before else []
    return [b - a for a, b in zip([0, *tried], tried, strict=False)]


def test_pauses_grow_to_a_limit_and_differ_by_seed() -> None:
    one, again, other = pauses(Wire(), 1), pauses(Wire(), 1), pauses(Wire(), 2)
    assert one == again != other
    assert one[0] >= PAUSE_NS
    assert all(pause <= PAUSE_NS_MAX * 3 // 2 + 1_000_000 for pause in one)
    assert len(one) < 15


def test_what_waits_too_long_or_is_too_much_is_dropped_and_counted(wire: Wire) -> None:
    box = outbox(wire)
    box.send(Outgoing(to=HER, data=b"old"), 0)
    box.retry(KEEP_NS + 1)
    assert (box.waiting, box.dropped) == (0, 1)
    for _ in range(9):
        box.send(Outgoing(to=HER, data=bytes(WAITING_BYTES_MAX // 4)), 0)
    assert (box.waiting, box.dropped) == (4, 6)
    box.send(Outgoing(to=b"stranger", data=b"x"), 0)
    box.retry(2 * KEEP_NS)
    assert box.waiting == 0
    assert wire.sent == []


def test_one_who_comes_up_is_tried_at_once(wire: Wire) -> None:
    box = outbox(wire)
    box.send(Outgoing(to=HER, data=b"1"), 0)
    box.retry(PAUSE_NS * 2)
    wire.up.add(HER)
    box.came_up(HER)
    box.retry(PAUSE_NS * 2 + 1)
    assert wire.sent == [(HER, b"1")]
