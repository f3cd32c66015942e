"""Tests of HTTP requests to hostile servers: endless, slow or compressed responses cost bounded memory and time."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agent.witness.boundedpost import posted

pytestmark = [pytest.mark.feature("A8"), pytest.mark.attack(69)]
HEAD = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def answering(act: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does one thing once it was asked."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            try:
                one, _ = door.accept()
                with one:
                    one.recv(65_536)
                    act(one)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}/ask"
        thread.join(20)


def test_an_answer_is_its_status_and_its_bytes() -> None:
    with answering(lambda one: one.sendall(HEAD + b"content-length: 2\r\n\r\nok")) as url:
        assert posted(url, b"x", limit=10, within_s=10) == (200, b"ok")


def test_more_than_was_allowed_is_not_read() -> None:
    def endless(one: socket.socket) -> None:
        one.sendall(HEAD + b"content-length: 99999999999\r\n\r\n")
        while True:
            one.sendall(bytes(65_536))

    with answering(endless) as url:
        assert "more than 1000 bytes" in str(posted(url, b"x", limit=1000, within_s=20))


def test_a_packed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(bytes(50 << 20))
    head = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    with answering(lambda one: one.sendall(head + packed)) as url:
        assert "packed" in str(posted(url, b"x", limit=1 << 30, within_s=20))


@pytest.mark.realtime
@pytest.mark.parametrize("head", [HEAD + b"content-length: 1000\r\n\r\n", HEAD + b"x-slow: "], ids=["body", "header"])
def test_who_answers_by_the_byte_is_not_waited_for(head: bytes) -> None:
    gone = threading.Event()

    def slow(one: socket.socket) -> None:
        one.sendall(head)
        for _ in range(60):
            one.sendall(b"x")
            if gone.wait(0.1):
                return

    with answering(slow) as url:
        assert "within 0.5 s" in str(posted(url, b"x", limit=10_000, within_s=0.5))
        gone.set()


def test_nobody_there_is_told() -> None:
    assert "127.0.0.1:9" in str(posted("http://127.0.0.1:9/ask", b"x", limit=1, within_s=2))
    assert "no address" in str(posted("no address", b"x", limit=1, within_s=2))
