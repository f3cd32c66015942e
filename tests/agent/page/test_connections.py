"""Connections that ask nothing, or do not fetch their answers, keep nobody from the page and its stop."""

import socket
from pathlib import Path

import httpx
import pytest

from agent.page.connections import CONNECTIONS, leaving
from tests.agent.page.served import page

pytestmark = [pytest.mark.feature("U3"), pytest.mark.attack(65)]
IDLE, STALLED, FETCHED, STOPS = (False, False, False), (True, True, False), (True, False, False), (True, False, True)


@pytest.mark.parametrize(
    ("places", "gone"),
    [
        ([FETCHED, IDLE, IDLE], 1),
        ([FETCHED, STALLED], 1),
        ([FETCHED, FETCHED], 0),
        ([STOPS, FETCHED], 1),
        ([STOPS], None),
        ([], None),
    ],
)
def test_who_gives_its_place_up(places: list[tuple[bool, bool, bool]], gone: int | None) -> None:
    assert leaving(places) == gone


def test_held_connections_keep_nobody_out(tmp_path: Path) -> None:
    ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: "
    with page(tmp_path) as served:
        host, port = served.origin.removeprefix("http://").split(":")
        held = []
        for number in range(CONNECTIONS + 30):
            one = socket.create_connection((host, int(port)), timeout=10)
            if number % 2:
                one.sendall(ask)  # half a request, never ended
            held.append(one)
        assert httpx.get(f"{served.origin}/api/v1/silence").status_code == 200
        stopped = httpx.post(f"{served.origin}/api/v1/stop", json={}, headers={"authorization": "Bearer x"})
        assert stopped.status_code == 401  # it was heard: 503 where there is no place
        for one in held:
            one.close()


@pytest.mark.realtime
def test_who_asks_nothing_is_let_go_by_time(tmp_path: Path) -> None:
    with page(tmp_path) as served:
        host, port = served.origin.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as one:
            one.sendall(b"GET / HTTP/1.1\r\n")
            assert one.recv(1) == b""
        streamed = httpx.Timeout(20.0)
        with httpx.stream("GET", f"{served.origin}/api/v1/stream", timeout=streamed) as told:
            beats = 0
            for line in told.iter_lines():
                beats += line.startswith("event: beat")
                if beats > 14:  # longer than a connection that asks nothing may stay
                    break
