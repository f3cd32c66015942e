"""The program's sockets on real ZeroMQ: GNU Radio's and srsRAN's ways to ask and answer, and whoever breaks them."""

import contextlib
import itertools
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from agent.samples.counts import Counts
from agent.samples.sockets import MESSAGE_BYTES_MAX, MESSAGES_MAX, REQUESTS_MAX, FromProgram, StatusSocket, ToProgram
from radio.signals.shapes import Cplx

pytestmark = pytest.mark.feature("R11")

NS = 1_000_000_000
LIMIT_S = 20.0
ONES = np.ones(100, np.complex64)


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    while OPENED:
        OPENED.pop().close(linger=0)
    made.destroy(linger=0)


OPENED: list["zmq.Socket[bytes]"] = []


def opened(context: "zmq.Context[zmq.Socket[bytes]]", kind: int) -> "zmq.Socket[bytes]":
    """A program's socket, closed at the latest when its test ends."""
    socket = context.socket(kind)
    socket.linger = 0
    socket.rcvtimeo = socket.sndtimeo = int(LIMIT_S * 1000)
    OPENED.append(socket)
    return socket


def until(found: Callable[[], object]) -> bool:
    """Wait for what a socket's own thread does."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if found():
            return True
        time.sleep(0.005)
    return False


def bound(context: "zmq.Context[zmq.Socket[bytes]]", kind: int, at: str) -> "zmq.Socket[bytes]":
    socket = opened(context, kind)
    socket.bind(at)
    return socket


def taken(source: FromProgram) -> Cplx:
    parts: list[Cplx] = []
    assert until(lambda: parts.extend(source.take()) or parts)
    return np.concatenate(parts)


def test_a_rep_sink_is_asked_for_a_number_of_samples(context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path) -> None:
    """As GNU Radio reads the request; srsRAN's radio reads its first byte and gives what it has."""
    at = f"ipc://{tmp_path}/tx"
    program = bound(context, zmq.REP, at)
    source = FromProgram(context, at, asks=True, counts=Counts())
    assert until(lambda: source.ask(4_096, 0) or len(source._asked))
    assert struct.unpack("=I", program.recv()) == (4_096,)
    program.send(ONES.tobytes())
    assert np.array_equal(taken(source), ONES)
    assert not source._asked
    source.close()


def test_only_so_many_requests_wait_and_one_that_was_lost_is_made_again(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    at = f"ipc://{tmp_path}/tx"
    program = bound(context, zmq.REP, at)
    counts = Counts()
    source = FromProgram(context, at, asks=True, counts=counts)
    assert until(lambda: source.ask(10, 0) or len(source._asked) == REQUESTS_MAX)
    program.recv()
    program.close()  # it dies with the request in its hands
    again = opened(context, zmq.REP)
    assert until(lambda: _binds(again, at))
    times, parts = itertools.count(2 * NS, NS // 10), list[Cplx]()

    def served() -> bool:
        source.ask(10, next(times))
        if again.poll(0):
            again.recv()
            again.send(ONES.tobytes())
        parts.extend(source.take())
        return bool(parts)

    assert until(served)
    assert np.array_equal(parts[0], ONES)
    source.close()


def _binds(socket: "zmq.Socket[bytes]", at: str) -> bool:
    try:
        socket.bind(at)
    except zmq.ZMQError:
        return False
    return True


def test_a_push_sink_is_held_back_by_its_own_socket(context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path) -> None:
    at = f"ipc://{tmp_path}/tx"
    program = bound(context, zmq.PUSH, at)
    program.sndhwm = 4
    source = FromProgram(context, at, asks=False, counts=Counts())
    sent = 0
    program.sndtimeo = 200
    with contextlib.suppress(zmq.Again):  # it floods; nobody takes
        while sent < 10_000:
            program.send(np.ones(20_000, np.complex64).tobytes())
            sent += 1
    assert sent < 2_000  # what its own socket queues, and a few
    arrived = source.take()
    assert 1 <= len(arrived) <= MESSAGES_MAX
    source.close()


def test_messages_in_parts_odd_ones_and_empty_ones_do_no_harm(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    at = f"ipc://{tmp_path}/tx"
    program = bound(context, zmq.PUSH, at)
    counts = Counts()
    source = FromProgram(context, at, asks=False, counts=counts)
    program.send_multipart([b"12345678", b"12345678"])
    program.send(b"123")
    program.send(b"")
    program.send(ONES.tobytes())
    assert np.array_equal(taken(source)[-100:], ONES) or np.array_equal(taken(source), ONES)
    assert counts.malformed == 2
    source.close()


def test_a_message_beyond_all_measure_ends_its_senders_connection_and_nobody_elses(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    at = f"ipc://{tmp_path}/tx"
    program = bound(context, zmq.PUSH, at)
    source = FromProgram(context, at, asks=False, counts=Counts())
    program.send(bytes(MESSAGE_BYTES_MAX + 8))
    times = itertools.count(0, NS // 10)
    parts: list[Cplx] = []

    def arrived() -> bool:
        with contextlib.suppress(zmq.Again):
            program.send(ONES.tobytes(), zmq.NOBLOCK)
        source.ask(0, next(times))
        parts.extend(source.take())
        return bool(parts)

    assert until(arrived)
    assert all(len(part) == 100 for part in parts)
    source.close()


@pytest.mark.parametrize(
    ("request_bytes", "most"), [(b"\x00", 20_000), (b"\xff", 20_000), (struct.pack("=I", 64), 64), (b"", 20_000)]
)
def test_whoever_asks_is_answered(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path, request_bytes: bytes, most: int
) -> None:
    """One dummy byte as srsRAN's radio sends, or GNU Radio's number of items."""
    at = f"ipc://{tmp_path}/rx"
    sink = ToProgram(context, at, answers=True, rate_hz=1_000_000, mode=0o600)
    program = opened(context, zmq.REQ)
    program.connect(at)
    assert sink.wanted() == 0
    program.send(request_bytes)
    assert until(sink.hear)
    assert sink.wanted() == most
    assert sink.give(ONES)
    assert np.array_equal(np.frombuffer(program.recv(), np.complex64), ONES)
    assert sink.wanted() == 0
    assert (tmp_path / "rx").stat().st_mode & 0o777 == 0o600
    sink.close()


def test_one_who_asks_and_dies_keeps_nothing_from_the_next(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    at = f"ipc://{tmp_path}/rx"
    sink = ToProgram(context, at, answers=True, rate_hz=1_000_000, mode=0o600)
    for number in range(20):
        program = opened(context, zmq.REQ)
        program.connect(at)
        program.send(b"\x00")
        assert until(sink.hear)
        if number < 19:
            program.close(linger=0)
            assert len(sink._waiting) <= MESSAGES_MAX
    while sink.wanted():
        assert sink.give(ONES)
    assert np.array_equal(np.frombuffer(program.recv(), np.complex64), ONES)
    sink.close()


def test_a_pull_source_gets_and_nobody_there_is_no_fault(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    at = f"ipc://{tmp_path}/rx"
    sink = ToProgram(context, at, answers=False, rate_hz=1_000_000, mode=0o600)
    assert not sink.give(ONES)
    program = opened(context, zmq.PULL)
    program.connect(at)
    assert until(lambda: sink.give(ONES))
    assert np.array_equal(np.frombuffer(program.recv(), np.complex64), ONES)
    sink.close()


@pytest.mark.attack(63)
@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_no_other_user_connects_before_the_socket_is_closed_to_it(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """From its first instant: whoever connects before a chmod stays connected, and would send as this node."""
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    before = os.umask(0)
    try:
        made = StatusSocket(context, f"ipc://{tmp_path}/status", mode=mode)
        found = stat.S_IMODE((tmp_path / "status").stat().st_mode)
        made.close()
        assert os.umask(0) == 0, "and the process's own umask is as it was"
    finally:
        os.umask(before)
    assert found & 0o777 & ~mode == 0
