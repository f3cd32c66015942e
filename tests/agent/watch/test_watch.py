"""The terminal's page: the same state and the same stop as the browser's, and nothing said of now that is of then."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from textual.css.query import NoMatches
from textual.widgets import DataTable, Static

from agent.page.plan import ServedNode
from agent.watch import app as watching
from agent.watch import lines
from agent.watch.app import WatchApp
from tests.agent.page.nodes import Feed, node_in, told

pytestmark = pytest.mark.feature("U8")
OFFER = {"offer": "aa" * 16, "role": "heard", "holder": "h\x1b[2J", "low_hz": 3_550_000_000, "high_hz": 3_560_000_000,
         "eirp_mdbm": 30_000, "area": {}}  # fmt: skip


def text(app: WatchApp, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).render())


async def soon(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a terminal gives no event to wait for
            await asyncio.sleep(0.02)


def test_it_shows_the_live_state_and_k_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[ServedNode] = []

    async def stop(node: ServedNode) -> dict[str, Any]:
        stopped.append(node)
        return {"rf": "off", "why": "", "warden": {"latched": True, "why": "", "took_ms": 5}, "nodes": []}

    monkeypatch.setattr(watching, "stop_node", stop)
    here = node_in(tmp_path, history=False)
    feed = Feed(here.node.run_folder)
    window = {"start_ns": time.time_ns() - 10**9, "end_ns": time.time_ns() + 90 * 10**9}
    state = told(offers=[{**OFFER, **window}])

    async def run() -> None:
        app = WatchApp(here.node)
        async with app.run_test(size=(120, 50)) as pilot:
            await soon(lambda: {b"state", b"row"} <= feed.follow())
            # Told again and again, as a node does: what is seconds old on a busy machine is shown as unknown.
            await soon(lambda: feed.say("state", state) or "TIME_UNTRUSTED" in text(app, "why"))
            why = text(app, "why")
            assert "gate.7  measured ok, bound 1.8 ms  required trusted, <= 1 ms" in why
            assert "do: `bandpact doctor`" in why
            assert "SIMULATION" in text(app, "head")
            market = app.query_one("#market", DataTable)
            await soon(lambda: market.row_count == 1)
            row = [str(cell) for cell in market.get_row_at(0)]
            assert row[:4] == ["OFFERED", r"h\x1b[2J", "3550-3560 MHz", "30 dBm"]
            assert "1 min" in row[4]
            await pilot.press("k")
            await soon(lambda: "RF OFF" in text(app, "said"))
            await pilot.press("q")

    try:
        asyncio.run(run())
    finally:
        feed.close()
    assert [one.name for one in stopped] == ["here"]


@pytest.mark.parametrize("how", ["ctrl+c", "q", "SIGTERM"])
def test_it_is_left_by_whatever_ends_other_commands(tmp_path: Path, how: str) -> None:
    """Ctrl-C asked for another key, and SIGTERM left the terminal without echo, on its second screen."""

    async def run() -> bool:
        app = WatchApp(node_in(tmp_path, history=False).node)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            if how == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                await pilot.press(how)
            await soon(lambda: app._exit)
        return True

    before = signal.signal(signal.SIGTERM, lambda *_: None)  # where nobody catches it, this test fails, not all of them
    try:
        assert asyncio.run(run())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_not_of_now_says_treat_as_on() -> None:
    snapshot = {"age_ms": 3500, "silence": {"state": "OPEN"}, "status": None}
    assert lines.is_stale(snapshot, 0)
    assert lines.why_lines(snapshot, stale=True)[:2] == ["UNKNOWN: treat as ON", "nothing heard for 3.5 s"]
    assert lines.is_stale({"age_ms": None}, 0)
    assert not lines.is_stale({"age_ms": 900}, 0)


def test_what_was_not_sensed_is_never_free() -> None:
    channel = {
        "low_hz": 1,
        "high_hz": 2,
        "state": "unknown",
        "occupancy": None,
        "floor_db": None,
        "floor_unit": "dBm/Hz",
    }
    assert lines.channel_rows({"channels": [channel]})[0][1:] == ("not sensed", "not sensed", "unknown")
    assert lines.fall_line(bytes(40), 20, 10, 90) == "?" * 20
    assert lines.fall_line(bytes([10] * 20 + [90] * 20), 4, 10, 90) == "  @@"
    assert lines.fall_line(bytes([0] * 20 + [50] * 20), 4, 10, 90)[:2] == "??"


@pytest.mark.parametrize(
    ("ns", "shown"), [(1_500_000_000, "1.5 s"), (61 * 10**9, "1 min 1 s"), (7260 * 10**9, "2 h 1 min")]
)
def test_what_is_left_is_in_peoples_units(ns: int, shown: str) -> None:
    assert lines.left_text(ns) == shown


LONG = {"state": "LATCHED", "reason": "DRIVER", "clause": "gate.1", "settlement": None, "bursts": 3,
        "measured": "ip:192.168.2.1: questions without answers", "required": "a driver that answers"}  # fmt: skip


def test_nothing_is_drawn_on_a_screen_that_is_taken_down(tmp_path: Path) -> None:
    """What has an interval of its own goes on for a moment when its user leaves: that was a traceback."""
    app = WatchApp(node_in(tmp_path, history=False).node)

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await app.screen.query("#head").remove()
            with pytest.raises(NoMatches):
                app.show()
            app._while_up(app.show)
        app._while_up(app.show)

    asyncio.run(run())


def test_a_terminal_of_24_lines_shows_the_whole_reason_with_its_mend_and_whole_tables(tmp_path: Path) -> None:
    here = node_in(tmp_path, history=False)
    feed = Feed(here.node.run_folder)
    window = {"start_ns": time.time_ns() - 10**9, "end_ns": time.time_ns() + 90 * 10**9}
    offer = {**OFFER, **window, "holder": "harbour-holder"}
    shown: list[str] = []

    def tell() -> None:
        feed.follow()
        feed.say("state", told(gate={**LONG, "mono_ns": time.monotonic_ns()}, offers=[offer]))

    async def run() -> None:
        app = WatchApp(here.node)
        async with app.run_test(size=(80, 24)) as pilot:
            await soon(lambda: tell() or "DRIVER" in text(app, "why"))
            await soon(lambda: app.query_one("#market", DataTable).row_count == 1)
            await pilot.pause()
            strips = app.screen._compositor.render_strips()
            shown.extend("".join(part.text for part in strip).rstrip() for strip in strips)

    try:
        asyncio.run(run())
    finally:
        feed.close()
    assert any("do: check cable and power of the radio, then `bandpact doctor`" in line for line in shown), shown
    heads = next(line for line in shown if "EIRP" in line)
    assert [word in heads for word in ("State", "Who", "Band", "Left")] == [True] * 4, heads
    assert any("harbour-holder  3550-3560 MHz  30 dBm  1 min" in line for line in shown), shown
