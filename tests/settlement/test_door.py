"""Tests of the mesh's connection handler: its answers to libzmq, whom it remembers, and its token buckets."""

from collections.abc import Callable, Iterator

import pytest
import zmq

from settlement.core.reasons import Reason
from settlement.mesh.door import ANSWERS_MAX, ENDPOINT, ENTERED_MAX, HANDLER_FAULT, Door
from settlement.mesh.limits import NS, Bucket, Limits, PeerRates, Rate

KEY, OTHER = bytes(range(32)), bytes(32)
Ask = Callable[..., list[bytes]]


def question(credential: bytes = KEY, *, domain: bytes = b"bandpact", mechanism: bytes = b"CURVE") -> list[bytes]:
    return [b"1.0", b"7", domain, b"127.0.0.1", b"id", mechanism, credential]


@pytest.fixture
def made() -> Iterator[tuple[Door, "zmq.Socket[bytes]"]]:
    context = zmq.Context()
    try:
        door = Door(context, lambda key: {KEY: True, OTHER: False}[key])
        libzmq = context.socket(zmq.DEALER)
        libzmq.connect(ENDPOINT)
        yield door, libzmq
    finally:
        context.destroy(linger=0)


def asked(made: tuple[Door, "zmq.Socket[bytes]"], frames: list[bytes]) -> list[bytes]:
    door, libzmq = made
    libzmq.send_multipart([b"", *frames])
    assert door.socket.poll(5000)
    door.answer()
    assert libzmq.poll(5000)
    return libzmq.recv_multipart()[1:]


YES = [b"1.0", b"7", b"200", b"OK", KEY.hex().encode(), b""]
NO = [b"1.0", b"7", b"400", b"no credentialed transport key", b"", b""]


@pytest.mark.attack(45)
def test_one_key_is_let_in_under_its_own_name_and_whatever_is_odd_is_not(
    made: tuple[Door, "zmq.Socket[bytes]"],
) -> None:
    door, _ = made
    assert asked(made, question()) == YES
    assert (door.entered(), door.denied) == ([KEY], {})
    odd = [question(OTHER), question(domain=b"other"), question(mechanism=b"PLAIN"), [*question(), KEY],
           [b"1.0", b"7", b"bandpact", b"127.0.0.1", b"CURVE", KEY]]  # fmt: skip
    for count, frames in enumerate(odd, start=1):
        assert asked(made, frames) == NO, frames
        assert door.denied == {Reason.UNKNOWN_PEER: count}
    assert door.entered() == []
    assert asked(made, [b"1.0"]) == [b"1.0", b"", *NO[2:]]


def test_a_fault_in_admission_is_counted_and_refuses_that_one(made: tuple[Door, "zmq.Socket[bytes]"]) -> None:
    door, _ = made
    assert asked(made, question(b"\x09" * 32)) == NO  # the test's admission raises KeyError
    assert door.denied == {HANDLER_FAULT: 1, Reason.UNKNOWN_PEER: 1}
    assert asked(made, question()) == YES


def test_its_own_knock_is_heard_and_never_let_in(made: tuple[Door, "zmq.Socket[bytes]"]) -> None:
    door, _ = made
    assert door.knocked is False
    door.expect(KEY)
    assert asked(made, question(OTHER)) == NO
    assert door.knocked is False
    assert asked(made, question(domain=b"other")) == NO
    assert door.knocked is False, "nor in another domain"
    assert asked(made, question()) == NO
    assert door.knocked is True
    door.expect(OTHER)
    assert door.knocked is False
    assert asked(made, question()) == YES


def test_who_came_in_is_told_once_in_order_and_remembered_to_a_bound(made: tuple[Door, "zmq.Socket[bytes]"]) -> None:
    door, _ = made
    door._admits = lambda _key: True
    for key in (KEY, OTHER, KEY):
        asked(made, question(key))
    assert door.entered() == [KEY, OTHER]
    assert door.entered() == []
    for number in range(ENTERED_MAX + 1):
        door._entered.append(number.to_bytes(32, "big"))
    assert len(door.entered()) == ENTERED_MAX


def test_a_bounded_number_is_answered_at_a_time(made: tuple[Door, "zmq.Socket[bytes]"]) -> None:
    door, libzmq = made
    for _ in range(ANSWERS_MAX + 5):
        libzmq.send_multipart([b"", *question(OTHER)])
    while door.denied[Reason.UNKNOWN_PEER] < ANSWERS_MAX:
        assert door.socket.poll(5000)
        before = door.denied[Reason.UNKNOWN_PEER]
        door.answer()
        assert door.denied[Reason.UNKNOWN_PEER] - before <= ANSWERS_MAX
    door.answer()
    assert door.denied[Reason.UNKNOWN_PEER] <= ANSWERS_MAX + 5


# -- buckets -----------------------------------------------------------------------------------------------------------


def test_a_bucket_is_exact_to_a_billionth_and_an_instant() -> None:
    rate = Rate(per_s=3, burst=2)
    assert Bucket.full(rate, 5) == Bucket(level=2 * NS, at_ns=5)
    assert Bucket.full(rate, 5).take(rate, 2, 5) == Bucket(level=0, at_ns=5)
    assert Bucket.full(rate, 5).take(rate, 3, 5) is None
    empty = Bucket(level=0, at_ns=100)
    assert empty.take(rate, 0, 107) == Bucket(level=21, at_ns=107)
    assert empty.take(rate, 0, 100 + 9 * NS) == Bucket(level=2 * NS, at_ns=100 + 9 * NS), "never above the burst"
    assert empty.take(rate, 0, 40) == Bucket(level=0, at_ns=100), "a clock that goes back moves nothing"


@pytest.mark.attack(65)
def test_what_is_over_one_limit_costs_neither_and_each_is_counted() -> None:
    limits = Limits(messages=Rate(per_s=1, burst=2), data=Rate(per_s=1, burst=10))
    rates = PeerRates(limits)
    assert not rates.takes(b"a", 11, 0)
    assert rates.takes(b"a", 10, 0)
    assert not rates.takes(b"a", 1, 0)
    assert rates.takes(b"a", 0, 0), "what was refused took no message"
    assert not rates.takes(b"a", 0, 0)
    assert rates.over == {b"a": 3}
    assert rates.takes(b"b", 10, 0)
    assert rates.over == {b"a": 3}
