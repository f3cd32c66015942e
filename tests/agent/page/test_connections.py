"""Connections that ask nothing, or do not fetch their answers, keep nobody from the page and its stop."""

import socket
from pathlib import Path

import httpx
import pytest

from agent.page.connections import CONNECTIONS, leaving
from agent.service.probes import Health
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


def files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.attack(65)
def test_connections_to_an_agents_health_hold_few_of_its_files() -> None:
    """Any user of the host may connect to it; it is served by the agent itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    health = Health(lambda: None, port)
    health.start()
    before = files()
    held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3 * CONNECTIONS)]
    assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code in (200, 503)
    assert files() - before - len(held) <= CONNECTIONS + 8
    for one in held:
        one.close()
    health.close()


def test_every_server_is_bounded() -> None:
    """There is no other way to serve HTTP here."""
    root = Path(__file__).resolve().parents[3] / "agent"
    found = {path: path.read_text(encoding="utf-8") for path in root.rglob("*.py")}
    serving = {path: text for path, text in found.items() if "uvicorn.Config(" in text}
    assert len(serving) >= 4
    assert [str(path) for path, text in serving.items() if "**BOUNDED" not in text and "http=" not in text] == []


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
