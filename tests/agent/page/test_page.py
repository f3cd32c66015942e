"""The page without a browser: who may ask what, what reads carry, why a radio is silent, how the feed is followed."""

import asyncio
import json
import re
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agent.history.store import NS, SECOND, NoHistory, Store
from agent.history.table import EVENTS
from agent.node.livefeed import GateTrack, encoded_row
from agent.page import stopbutton
from agent.page.app import FILES
from agent.page.codedrows import SPECTRA_HEAD, spectra
from agent.page.guard import POLICY, hosts_of
from agent.page.live import QUEUE, Watching, boxes_of
from agent.page.pageprocess import PageNotServed, listening
from agent.page.plan import read_plan, token_at
from agent.words.silence import GATE, readable, silence
from radio.link import GateChange, WardenBeat
from settlement.core.reasons import Reason
from tests.agent.history.days import START_NS, seconds
from tests.agent.page.nodes import ORIGIN, TOKEN, Feed, client, node_in, plan_for, told

pytestmark = pytest.mark.feature("U3")
ROOT = Path(__file__).resolve().parents[3]


def ask(folder: Path, *calls: tuple[str, str, dict[str, Any]], **node: Any) -> list[httpx.Response]:
    """Requests to a page with one node, whose state is as given."""
    here = node_in(folder, history=False)
    here.status = node.get("status", told())

    async def asked() -> list[httpx.Response]:
        async with client(folder, here) as page:
            return [await page.request(method, path, **more) for method, path, more in calls]

    return asyncio.run(asked())


# -- who may ask what ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example:9999", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:9999.evil.example", ""])
def test_another_hosts_name_gets_nothing(tmp_path: Path, host: str) -> None:
    (answer,) = ask(tmp_path, ("GET", "/api/v1/status", {"headers": {"host": host}}))
    assert answer.status_code == 421
    assert "here" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:9999", "localhost:9999", "LOCALHOST:9999"])
def test_its_own_names_do(tmp_path: Path, host: str) -> None:
    assert ask(tmp_path, ("GET", "/api/v1/status", {"headers": {"host": host}}))[0].status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Bearer {TOKEN}", "origin": "http://evil.example"}, 403),
        ({"authorization": f"Bearer {TOKEN}", "origin": "null"}, 403),
        ({"authorization": f"Bearer {TOKEN}", "origin": ORIGIN, "content-type": "text/plain"}, 415),
    ],
)
def test_a_stop_needs_token_origin_and_json(tmp_path: Path, headers: dict[str, str], code: int) -> None:
    (answer,) = ask(tmp_path, ("POST", "/api/v1/stop", {"content": b"{}", "headers": headers}))
    assert answer.status_code == code


@pytest.mark.parametrize("body", [b"", b"[]", b'{"node": 3}', b'{"what": 1}', b"[" * 4000, b'{"node": "nobody"}'])
def test_what_is_no_stop_stops_nothing(tmp_path: Path, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_node: object) -> None:
        raise AssertionError

    monkeypatch.setattr("agent.page.app.stop_node", never)
    headers = {"authorization": f"Bearer {TOKEN}", "origin": ORIGIN, "content-type": "application/json"}
    (answer,) = ask(tmp_path, ("POST", "/api/v1/stop", {"content": body, "headers": headers}))
    assert answer.status_code in (400, 404)


def test_a_stop_reaches_the_nodes_warden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = []

    async def stop(node: Any, _one_command: asyncio.Lock) -> dict[str, Any]:
        stopped.append(node.name)
        return {"node": node.name}

    monkeypatch.setattr("agent.page.app.stop_node", stop)
    headers = {"authorization": f"Bearer {TOKEN}", "origin": ORIGIN, "content-type": "application/json"}
    (answer,) = ask(tmp_path, ("POST", "/api/v1/stop", {"content": b'{"node": "here"}', "headers": headers}))
    assert (answer.status_code, stopped) == (200, ["here"])


def test_a_warden_is_asked_at_once_whatever_else_the_page_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second stop came to the warden only when the first one's command had ended, or a reading of the history."""
    asked, headers = list[float](), {"authorization": f"Bearer {TOKEN}", "origin": ORIGIN}
    here, going_on = node_in(tmp_path, history=False), threading.Event()

    def warden(*_: Any, **__: Any) -> dict[str, Any]:
        asked.append(time.monotonic())
        return {"state": "LATCHED"}

    async def run() -> list[Any]:
        ended, begun = asyncio.Event(), 0

        async def command(_node: Any) -> dict[str, Any]:
            nonlocal begun
            begun += 1
            assert begun == 1, "one command at a time"
            await ended.wait()
            begun -= 1
            return {"rf": "off", "why": "", "nodes": []}

        monkeypatch.setattr(stopbutton, "_command", command)
        monkeypatch.setattr(stopbutton, "ask", warden)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        reading = asyncio.ensure_future(asyncio.to_thread(going_on.wait, 60))
        async with client(tmp_path, here) as page:
            stops = [asyncio.create_task(page.post("/api/v1/stop", json={}, headers=headers)) for _ in range(2)]
            async with asyncio.timeout(30):
                while len(asked) != 2:  # noqa: ASYNC110 - a thread gives no event to wait for
                    await asyncio.sleep(0.01)
            assert not any(one.done() for one in stops)
            ended.set()
            found = [(await one).json() for one in stops]
        going_on.set()
        await reading
        return found

    found = asyncio.run(run())
    assert [one["warden"]["latched"] for one in found] == [True, True]
    assert [one["rf"] for one in found] == ["off", "off"]


@pytest.mark.parametrize("path", ["status", "live", "nodes", "stop", "silence"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_else_is_taken(tmp_path: Path, path: str, method: str) -> None:
    assert ask(tmp_path, (method, f"/api/v1/{path}", {}))[0].status_code == 405


def test_another_method_is_refused_in_json_with_those_that_are_taken(tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    read, changed = ask(tmp_path, ("GET", "/api/v1/stop", {}), ("POST", "/api/v1/status", {"headers": headers}))
    assert (read.status_code, read.headers["allow"]) == (405, "POST")
    assert (changed.status_code, set(changed.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert read.json()["error"] == changed.json()["error"]


@pytest.mark.parametrize("path", ["clock", "auctions", "jurisdictions"])
def test_what_carries_no_age_says_nothing_of_a_state_that_is_out_of_date(tmp_path: Path, path: str) -> None:
    """The clock of an agent that hung was told as trusted for ever."""
    old = told(mono_ns=time.monotonic_ns() - 9_000_000_000)
    (answer,) = ask(tmp_path, ("GET", f"/api/v1/{path}", {}), status=old)
    assert answer.status_code == 503
    assert "last heard 9." in answer.json()["error"]
    (whole,) = ask(tmp_path, ("GET", "/api/v1/status", {}), status=old)
    assert (whole.status_code, whole.json()["ready"]) == (200, False)


def test_every_answer_carries_the_policy(tmp_path: Path) -> None:
    calls = [("GET", path, {}) for path in ("/", "/static/main.js", "/api/v1/status", "/nowhere")]
    for answer in ask(tmp_path, *calls, ("POST", "/api/v1/stop", {})):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY
    assert "http" not in POLICY


@pytest.mark.parametrize("name", ["..%2fapp.py", "%2e%2e/app.py", ".hidden.js", "page.css%00", "nothing.js", "main.py"])
def test_only_its_own_files_are_served(tmp_path: Path, name: str) -> None:
    assert ask(tmp_path, ("GET", f"/static/{name}", {}))[0].status_code == 404


def test_the_pages_files_name_no_other_place() -> None:
    """Nothing in them loads anything from elsewhere; the namespace of SVG is a name."""
    for path in FILES.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text), path.name
        assert not re.search(r"\.innerHTML|document\.write|eval\(|new Function", text), path.name
    html = (FILES / "index.html").read_text()
    assert not re.search(r"\son\w+=|style=|<script(?![^>]*src=)", html)


@pytest.mark.parametrize(
    ("host", "known"), [("127.0.0.1", "localhost:80"), ("::1", "[::1]:80"), ("10.0.0.7", "10.0.0.7")]
)
def test_names_of_a_page(host: str, known: str) -> None:
    assert known in hosts_of(host, 80)
    assert ("localhost:80" in hosts_of(host, 80)) == (host in ("127.0.0.1", "::1"))


def test_the_token_is_the_owners_alone_and_lasts(tmp_path: Path) -> None:
    first = token_at(tmp_path / "token")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert token_at(tmp_path / "token") == first
    (tmp_path / "token").chmod(0o644)
    assert token_at(tmp_path / "token") != first  # others may have read it


# -- what reads carry ----------------------------------------------------------------------------------------------


def test_the_api_is_as_it_is_described(tmp_path: Path) -> None:
    (answer,) = ask(tmp_path, ("GET", "/api/v1/openapi.json", {}))
    paths = answer.json()["paths"]
    reads = [path for path, ways in paths.items() if "get" in ways and not path.endswith("stream")]
    window = {"from_ns": 0, "to_ns": 10**9}
    for path, found in zip(reads, ask(tmp_path, *(("GET", path, {"params": window}) for path in reads)), strict=True):
        assert found.status_code == 200, path
        assert "application/json" in found.headers["content-type"] or path.endswith("spectra")
    from agent.page.app import app_of

    here = node_in(tmp_path, history=False)
    served = {route.path for route in app_of(plan_for(tmp_path, here), {"here": here}, TOKEN).routes}
    assert set(paths) <= served
    assert {one for one in served if one.startswith("/api")} - set(paths) == {
        "/api/v1/openapi.json",
        "/api/v1/waterfall",
    }


@pytest.mark.parametrize(
    "query",
    ["", "from_ns=1", "from_ns=2&to_ns=1", "from_ns=-1&to_ns=5", "from_ns=a&to_ns=b", "from_ns=0&to_ns=9e9",
     "from_ns=0&to_ns=99999999999999999999", "from_ns=0&to_ns=5&step=2s", "from_ns=0&to_ns=9223372036854775807"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["history", "spectra", "lanes"])
def test_a_window_that_is_none_is_refused_with_why(tmp_path: Path, path: str, query: str) -> None:
    (answer,) = ask(tmp_path, ("GET", f"/api/v1/{path}?{query}", {}))
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_status_is_what_the_command_prints(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from agent.cli.main import app
    from agent.service.snapshot import write_status

    state = told()
    (answer,) = ask(tmp_path, ("GET", "/api/v1/status", {}), status=state)
    write_status(tmp_path, state)
    printed = json.loads(CliRunner().invoke(app, ["status", "--json", "--folder", str(tmp_path)]).stdout)
    assert answer.json() == printed


STRANGE = "\x1b[31m\u202eevil\u3164\ud800"
"""What a neighbour may sign as the text of a verdict, and a file may hold."""


@pytest.mark.attack(71)
def test_no_text_of_a_stranger_reaches_an_answer_as_it_is(tmp_path: Path) -> None:
    here = node_in(tmp_path, history=False)
    state = told(alarms=[STRANGE], neighbours=[{"name": STRANGE}], offers=[])
    here._take(b"state", json.dumps(state).encode())
    change = GateChange.__dataclass_fields__
    gate = {
        **dict.fromkeys(change, 0),
        "sid": "",
        "told_ns": 1,
        "state": "CLOSED",
        "reason": STRANGE,
        "measured": STRANGE,
        "asked": False,
    }
    here._take(b"gate", json.dumps(gate).encode())
    here._take(b"event", json.dumps({"event": "turned down", "measured": STRANGE, "n": float("nan")}).encode())

    async def asked() -> list[httpx.Response]:
        async with client(tmp_path, here) as page:
            return [await page.get(f"/api/v1/{name}") for name in ("status", "live")]

    for answer in asyncio.run(asked()):
        assert answer.status_code == 200
        assert "evil" in answer.text
        assert "\u202e" not in answer.text
        assert answer.text.isascii()


@pytest.mark.attack(71)
@pytest.mark.parametrize("path", ["history", "lanes"])
def test_no_text_of_a_kept_row_reaches_an_answer_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    here = node_in(tmp_path, history=False)
    here.store = Store(folder=tmp_path / "history")
    row = replace(next(iter(seconds(1))), gate="CLOSED", reason=STRANGE, measured=STRANGE, clause=STRANGE)
    monkeypatch.setattr("agent.history.store.Store.rows", lambda *_: [row])

    async def asked() -> httpx.Response:
        async with client(tmp_path, here) as page:
            return await page.get(f"/api/v1/{path}?from_ns=1&to_ns=2")

    answer = asyncio.run(asked())
    assert answer.status_code == 200
    assert "evil" in answer.text
    assert answer.text.isascii()


@pytest.mark.attack(69)
@pytest.mark.parametrize(
    "fields",
    ['{"a": NaN}', '{"a": 1e400}', '{"a": -Infinity}', r'{"a": "\ud800"}', r'{"\udfff": 1}', "[1]", '{"at_ns": "x"}',
     '{"a": ' + "9" * 5000 + "}", "[" * 3000],
)  # fmt: skip
def test_an_event_of_a_file_that_is_none_hides_no_other(tmp_path: Path, fields: str) -> None:
    here = node_in(tmp_path, history=False)
    second = 1_790_035_200 * 10**9
    here.store = Store(folder=tmp_path / "history")
    here.store._events = [(second + 1, "good", {"a": 1})]
    strange = pa.table({"at_ns": [second + 2], "event": ["strange"], "fields": [fields]}, schema=EVENTS)
    (tmp_path / "history" / "1s").mkdir(parents=True)
    pq.write_table(strange, tmp_path / "history" / "1s" / "events-2026092200.parquet")
    here.store.folder = tmp_path / "history"

    async def asked() -> httpx.Response:
        async with client(tmp_path, here) as page:
            return await page.get(f"/api/v1/events?from_ns={second}&to_ns={second + 10}")

    answer = asyncio.run(asked())
    assert answer.status_code == 200
    found = {one["event"]: one for one in answer.json()}
    assert found["good"]["a"] == 1
    assert found.get("strange", {"at_ns": second + 2})["at_ns"] == second + 2


@pytest.mark.attack(65)
def test_a_flood_of_refusals_hides_no_other_event(tmp_path: Path) -> None:
    """Refusals come at a stranger's pace: what the node itself did is still there behind them."""
    here = node_in(tmp_path, history=False)
    here.store = Store(folder=tmp_path / "history")
    here.store.open()
    for name in ("settled", "preempted"):
        here._take(b"event", json.dumps({"event": name, "sid": "ab"}).encode())
    for number in range(3000):
        here._take(b"event", json.dumps({"event": "refusal", "n": number}).encode())
    here._take(b"event", b'{"event": "incumbent"}')
    names = [one["event"] for one in here.events]
    assert names[:2] == ["settled", "preempted"]
    assert (len(names), names[-1], here.events[-2]["n"]) == (400, "incumbent", 2999)
    kept = here.store.events(0, 1 << 62).column("event").to_pylist()
    assert {"settled", "preempted", "incumbent"} <= set(kept)
    assert kept.count("refusal") == 600


def test_of_a_node_that_said_nothing_nothing_is_claimed(tmp_path: Path) -> None:
    live, clock, why = ask(
        tmp_path, *(("GET", f"/api/v1/{name}", {}) for name in ("live", "clock", "silence")), status=None
    )
    assert (live.json()["status"], live.json()["age_ms"], live.json()["ready"]) == (None, None, False)
    assert clock.status_code == 503
    assert (why.json()["state"], why.json()["silent"]) == ("UNKNOWN", None)


def test_spectra_are_one_tuning_with_their_times() -> None:
    rows = list(seconds(3))
    data = spectra(rows)
    bins, count, low, high, length = SPECTRA_HEAD.unpack_from(data)
    assert (bins, count, low, high, length) == (256, 3, rows[0].low_hz, rows[0].high_hz, NS)
    assert data[SPECTRA_HEAD.size + 8 : SPECTRA_HEAD.size + 8 + bins] == rows[0].max_hold
    assert SPECTRA_HEAD.unpack_from(spectra([]))[1] == 0


@pytest.mark.attack(69)
@pytest.mark.parametrize("path", ["history", "lanes", "spectra"])
def test_a_history_of_too_much_is_refused_and_no_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    here = node_in(tmp_path, history=False)
    here.store = Store(folder=tmp_path / "history")

    async def asked() -> httpx.Response:
        async with client(tmp_path, here) as page:
            return await page.get(f"/api/v1/{path}?from_ns=1&to_ns=2")

    def too_much(*_: object) -> None:
        raise NoHistory("more than can be read; ask for less")

    if path == "spectra":
        monkeypatch.setattr("agent.page.app.spectra", too_much)
    else:
        monkeypatch.setattr("agent.history.store.Store.rows", too_much)
    answer = asyncio.run(asked())
    assert answer.status_code == 413
    assert "ask for less" in answer.text


# -- why it is silent ----------------------------------------------------------------------------------------------


def test_every_reason_of_the_gate_has_meaning_and_mend() -> None:
    text = (ROOT / "radio" / "gate.py").read_text() + (ROOT / "radio" / "warden.py").read_text()
    named = {Reason[name].value for name in re.findall(r"\bReason\.([A-Z][A-Z_]+)", text)}
    assert named - set(GATE) <= {"MALFORMED"}  # said of bytes handed over, never of the gate
    assert all(meaning and mend for meaning, mend in GATE.values())


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("ok, bound 1800000 ns", "ok, bound 1.8 ms"),
        ("<= 100000000 ns", "<= 100 ms"),
        ("lease until 1790000000123000000 ns", "lease until 14:13:20.123Z"),
        ("250 ns", "250 ns"),
        ("Band(low_hz=3550000000, high_hz=3560000000)", "3550–3560 MHz"),
        ("-1500000 ns left", "-1.5 ms left"),
    ],
)
def test_values_are_as_people_read_them(raw: str, shown: str) -> None:
    assert readable(raw) == shown


def test_unknown_is_to_be_taken_for_on() -> None:
    gone = told(mono_ns=time.monotonic_ns() - 60 * NS)
    here = silence("UNKNOWN", gone["gate"])
    assert here["silent"] is None
    assert "treat as ON" in here["mend"]
    assert silence("OPEN", {"state": "OPEN", "reason": ""})["silent"] is False


@pytest.mark.parametrize(
    ("changes", "says", "mends"),
    [
        ({"warden": False}, "the warden does not run; last seen ARMED", "start it again"),
        ({"gate": None}, "the radio does not answer yet", "power and its cable"),
        ({"late": "the gate loop is 300 ms late"}, "the gate loop is 300 ms late", "`bandpact doctor`"),
        ({"process": 1 << 30}, "is dead, last heard", "start the node again"),
        ({"mono_ns": 0}, "last heard", "see whether the node still runs"),
    ],
)
def test_unknown_says_why_nobody_can_tell_and_what_to_do(
    tmp_path: Path, changes: dict[str, Any], says: str, mends: str
) -> None:
    here = node_in(tmp_path, history=False)
    here.status = told(**changes)
    said = here.silence()
    assert (said["state"], said["silent"]) == ("UNKNOWN", None)
    assert said["meaning"].startswith("Nobody can tell whether it transmits: ")
    assert says in said["meaning"]
    assert said["mend"].startswith("treat as ON: `bandpact stop`, or take the power away; then ")
    assert mends in said["mend"]


def test_silence_over_the_api_names_clause_values_and_mend(tmp_path: Path) -> None:
    (answer,) = ask(tmp_path, ("GET", "/api/v1/silence", {}))
    assert answer.json() == {
        "state": "ARMED", "silent": True, "reason": "TIME_UNTRUSTED", "clause": "gate.7",
        "measured": "ok, bound 1.8 ms", "required": "trusted, <= 1 ms", "meaning": "The clock is not known well enough",
        "mend": "`bandpact doctor`: give it a better time source, or wait", "before": "",
    }  # fmt: skip


def test_a_gate_without_a_permit_says_what_the_last_settlement_came_to(tmp_path: Path) -> None:
    here = node_in(tmp_path, history=False)
    state = told()
    state["gate"] |= {"reason": "NO_PERMIT", "clause": "gate.4", "measured": "none", "required": "a settlement"}
    here.status = state
    assert here.silence()["before"] == ""

    def happened(event: str, reason: str, at_s: int, sid: str = "ab") -> None:
        here.events.append({"event": event, "sid": sid * 16, "reason": reason, "at_ns": at_s * 10**9, "mono_ns": 1})

    happened("ended", "window end", 10, "cd")  # of a neighbour, as its holder
    assert here.silence()["before"] == ""
    happened("requested", "", 20)
    happened("refused", "CONFLICT", 50)
    said = "its request abababab was refused at 00:00:50Z: CONFLICT, another has that band"
    assert here.silence()["before"] == said
    assert here.silence()["mend"] == GATE["NO_PERMIT"][1]
    happened("ended", "preempted: INCUMBENT", 60)
    happened("incumbent", "", 70)
    said = "its settlement abababab ended at 00:01:00Z: preempted: INCUMBENT, a radar or another incumbent was heard"
    assert here.silence()["before"] == f"{said} in the band"
    assert here.silence()["mend"].startswith("`bandpact acquire BAND` for another band, or wait until the incumbent")
    here.status = told()  # the clock keeps it silent, whatever the last settlement came to
    assert here.silence()["before"] == ""


def test_a_state_that_is_old_says_unknown(tmp_path: Path) -> None:
    (answer,) = ask(tmp_path, ("GET", "/api/v1/silence", {}), status=told(mono_ns=time.monotonic_ns() - 60 * NS))
    assert answer.json()["state"] == "UNKNOWN"


# -- the feed ------------------------------------------------------------------------------------------------------


async def soon(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - another process's socket gives no event to wait for
            await asyncio.sleep(0.005)


def test_the_feed_is_followed_kept_and_handed_on_and_rows_only_while_somebody_looks(tmp_path: Path) -> None:
    import zmq.asyncio

    here = node_in(tmp_path)
    feed = Feed(here.node.run_folder)

    async def follow() -> None:
        context = zmq.asyncio.Context(io_threads=1)
        task = asyncio.create_task(here.run(context))
        await soon(lambda: {b"state", b"gate", b"event", b"second"} <= feed.follow())
        assert b"row" not in feed.readers
        with here.client(rows=False) as told_to, here.client(rows=True) as looks:
            await soon(lambda: b"row" in feed.follow())
            feed.say("state", told())
            kind, body = await asyncio.wait_for(told_to.queue.get(), 10)
            assert (kind, json.loads(body)["silence"]["clause"]) == ("state", "gate.7")
            change = {"state": "OPEN", "previous": "ARMED", "reason": "", "clause": "", "measured": "", "required": "",
                      "sid": "ab", "asked": False, "told_ns": time.monotonic_ns()}  # fmt: skip
            feed.say("gate", change)
            kind, body = await asyncio.wait_for(told_to.queue.get(), 10)
            assert (kind, json.loads(body)["silence"]["silent"]) == ("gate", False)
            assert here.silence()["silent"] is False
            feed.say("row", b"bytes")
            assert await asyncio.wait_for(looks.queue.get(), 10) == ("row", b"bytes")
            feed.say("second", encoded_row(next(iter(seconds(1)))))
            feed.say("state", b"not json")
            feed.say("event", {"event": "refusal", "reason": "REPLAY"})
            await asyncio.wait_for(told_to.queue.get(), 10)
        await soon(lambda: b"row" not in feed.follow())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        context.destroy(linger=0)

    try:
        asyncio.run(follow())
    finally:
        feed.close()
    kept = Store(folder=tmp_path / "here" / "history")
    assert [row.start_ns for row in kept.rows(SECOND, 0, 1 << 62)] == [START_NS]


def test_a_client_that_does_not_keep_up_loses_the_oldest() -> None:
    one = Watching()
    for n in range(QUEUE + 5):
        one.put("row", n)
    assert (one.dropped, one.queue.get_nowait()) == (5, ("row", 5))


def test_a_full_disk_costs_the_history_and_is_told(tmp_path: Path) -> None:
    here = node_in(tmp_path)
    (tmp_path / "here" / "history").write_text("in the way")
    here._open_store()
    assert here.fault is not None
    here.status = told()
    assert here.snapshot()["history_fault"] == here.fault


def test_boxes_hold_offers_and_settlements_in_the_words_of_cbrs() -> None:
    offered = {"offer": "aa", "role": "heard", "holder": "h", "low_hz": 1, "high_hz": 2, "start_ns": 3, "end_ns": 4,
               "eirp_mdbm": 5}  # fmt: skip
    settled = {"settlement": "bb", "role": "user", "state": "GRANTED", "low_hz": 1, "high_hz": 2, "eirp_mdbm": None,
               "window_start_ns": 3, "window_end_ns": 4, "lease_until_ns": None,
               "suspended_for": "INCUMBENT"}  # fmt: skip
    boxes = boxes_of({"offers": [offered], "settlements": [settled]})
    assert [(one["kind"], one["state"]) for one in boxes] == [("offer", "OFFERED"), ("settlement", "SUSPENDED")]


# -- the agent's end -----------------------------------------------------------------------------------------------


def beat(state: str, bursts: int, **more: Any) -> WardenBeat:
    return WardenBeat(state=state, reason=more.pop("reason", ""), sid=None, bursts=bursts, silent_by_ns=None,
                      worst_turn_ns=0, **more)  # fmt: skip


def test_how_long_the_gate_was_open_is_counted_from_its_own_word() -> None:
    track = GateTrack()
    track.said(beat("ARMED", 10, reason="LEASE", clause="gate.9", measured="m", required="r"), 0)
    change = GateChange(state="OPEN", previous="ARMED", reason="", clause="", measured="", required="", sid=b"s",
                        at_ns=100_000_000, cause_ns=0, muted_ns=None, asked=False)  # fmt: skip
    track.said(change, 100_000_000)
    assert (track.clause, track.measured) == ("gate.9", "m")  # the last word that kept it shut
    track.said(beat("OPEN", 14), 500_000_000)
    assert track.take(1_000_000_000) == (900, 4)
    track.said(beat("ARMED", 14, reason="LEASE"), 1_250_000_000)
    assert track.take(2_000_000_000) == (250, 0)


def test_a_port_in_use_is_told_and_the_usual_one_gives_way(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PageNotServed, match="--page-port"):
            listening("127.0.0.1", taken.getsockname()[1])
    one, other = listening("127.0.0.1", None), listening("127.0.0.1", None)
    try:
        assert one.getsockname()[1] != other.getsockname()[1]
    finally:
        one.close()
        other.close()


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, node_in(tmp_path))
    assert read_plan(plan.write(tmp_path / "plan")) == plan
