"""Tests that idle viewers of the page do not block new ones."""

import contextlib
import socket
import time
from pathlib import Path

import httpx
import pytest

from agent.page.viewers import STAYS_S, VIEWERS_MAX, Viewers
from tests.agent.page.served import page

pytestmark = [pytest.mark.feature("U3"), pytest.mark.attack(65)]


class Seconds:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_place_is_another_s_once_it_was_held_for_a_while_and_not_before() -> None:
    seconds, left = Seconds(), list[str]()
    viewers = Viewers(3, seconds=seconds)
    held = [viewers.place("here", lambda name=name: left.append(name)) for name in "abc"]  # type: ignore[misc]
    for one in held:
        assert viewers.has_room()
        one.__enter__()
        seconds.now += 1.0
    assert not viewers.has_room()
    seconds.now = 100.0 + STAYS_S
    assert viewers.has_room()
    with viewers.place("here", lambda: left.append("d")):
        assert (left, len(viewers)) == (["a"], 3)
        held[0].__exit__(None, None, None)
        assert len(viewers) == 3
    assert len(viewers) == 2
    assert viewers.has_room()
    for one in held[1:]:
        one.__exit__(None, None, None)
    assert len(viewers) == 0


def test_the_address_that_watches_most_gives_way() -> None:
    seconds, left = Seconds(), list[str]()
    viewers = Viewers(3, seconds=seconds)
    held = [
        viewers.place(address, lambda name=name: left.append(name))  # type: ignore[misc]
        for address, name in (("operator", "first"), ("other", "second"), ("other", "third"))
    ]
    for one in held:
        one.__enter__()
        seconds.now += 0.1
    seconds.now += STAYS_S
    with viewers.place("third", lambda: left.append("last")):
        assert left == ["second"]
    for one in held:
        one.__exit__(None, None, None)


@pytest.mark.realtime
@pytest.mark.parametrize("what", ["stream", "waterfall"])
def test_viewers_that_read_nothing_give_way_to_one_that_does(what: str, tmp_path: Path) -> None:
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    with page(tmp_path) as served:
        name = served.origin.removeprefix("http://")
        host, port = name.split(":")
        ask = f"GET /api/v1/{what} HTTP/1.1\r\nHost: {name}\r\n{upgrade if what == 'waterfall' else ''}\r\n".encode()
        held = []
        for _ in range(VIEWERS_MAX):
            one = socket.create_connection((host, int(port)), timeout=30)
            one.sendall(ask)
            assert one.recv(9) == b"HTTP/1.1 "
            held.append(one)
        until, told_of = time.monotonic() + 60, ""
        while not told_of:
            assert time.monotonic() < until
            with httpx.stream("GET", f"{served.origin}/api/v1/stream", timeout=30.0) as told:
                told_of = next(told.iter_lines()) if told.status_code == 200 else ""
            time.sleep(0.1)
        assert told_of == "retry: 500"
        with contextlib.suppress(ConnectionResetError):  # the first of them was let go
            while held[0].recv(1 << 20):
                pass
        for one in held:
            one.close()
