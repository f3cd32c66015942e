"""Tests of connections without a client certificate: their number is bounded, and which one is dropped."""

import time
from collections import Counter
from typing import Any, cast

import pytest

from agent.cbrs.halfopen import GOOD_HANDSHAKE_S, HALF_OPEN_MAX, HalfOpen, giving_way, sender_of

pytestmark = [pytest.mark.feature("R12"), pytest.mark.attack(65)]


def last(count: int) -> int:
    return count - 1


def test_a_flood_from_one_sender_takes_no_place_of_another() -> None:
    """The oldest gave way, whosever it was: 128 new ones within one handshake ended a good one."""
    held = [("good", 0.0)]
    for number in range(10_000):
        now_s = number / 5000
        if len(held) >= HALF_OPEN_MAX:
            del held[giving_way(held, now_s)]
        held.append(("flood", now_s))
    assert held[0] == ("good", 0.0)


def test_the_oldest_of_the_crowd_gives_way_once_a_good_handshake_had_its_time() -> None:
    held = [("a", 0.0), ("b", 0.5), ("b", 0.6), ("b", 0.7)]
    assert giving_way(held, 0.5 + GOOD_HANDSHAKE_S, last) == 1


def test_of_a_crowd_that_is_younger_than_a_good_handshake_one_is_drawn() -> None:
    """Base stations behind one address share it with whoever floods: the oldest of them is no worse than the rest."""
    held = [("a", 0.0), ("b", 0.5), ("b", 0.6), ("b", 0.7)]
    assert giving_way(held, 0.4 + GOOD_HANDSHAKE_S, last) == 3
    drawn = Counter(giving_way(held, 0.8) for _ in range(3000))
    assert set(drawn) == {1, 2, 3}


def test_of_many_senders_with_one_place_each_the_oldest_gives_way() -> None:
    assert giving_way([(str(one), one) for one in range(9)], 100.0, last) == 0


@pytest.mark.parametrize(
    ("peername", "sender"),
    [
        (("192.0.2.7", 5), "192.0.2.7"),
        (("::ffff:192.0.2.7", 5, 0, 0), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "20010db800010002"),
        (("2001:db8:1:2:ffff::1", 5, 0, 0), "20010db800010002"),
        (("fe80::1%eth0", 5, 0, 2), "fe80000000000000"),
        (None, "None"),
        ("", ""),
        (("a host", 5), "('a host', 5)"),
    ],
)
def test_who_a_sender_is(peername: Any, sender: str) -> None:
    assert sender_of(peername) == sender


class Connection:
    """A transport as far as it is needed."""

    def __init__(self, address: str) -> None:
        self.address, self.aborted = address, False

    def get_extra_info(self, name: str) -> Any:
        return {"peername": (self.address, 1)}[name]

    def abort(self) -> None:
        self.aborted = True


def test_no_more_are_held_than_there_are_places_and_who_is_done_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    held, made = HalfOpen(), [Connection("192.0.2.1") for _ in range(3 * HALF_OPEN_MAX)]
    good = Connection("192.0.2.2")
    held.add(cast("Any", good))
    for one in made:
        held.add(cast("Any", one))
        assert len(held) <= HALF_OPEN_MAX
    assert not good.aborted
    assert sum(one.aborted for one in made) == len(made) - HALF_OPEN_MAX + 1
    held.done(cast("Any", good))
    assert len(held) == HALF_OPEN_MAX - 1
    held.add(cast("Any", Connection("192.0.2.3")))
    assert sum(one.aborted for one in made) == len(made) - HALF_OPEN_MAX + 1
    held.end()
    assert len(held) == 0
    assert all(one.aborted for one in made)
    assert not good.aborted
