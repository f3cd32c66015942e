"""The page in Debian's Chromium, live from a running trial: it shows what the API says, and its stop silences."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim.airclient import AirClient
from sim.oraclelog import read_log
from tests.agent.page.browser import Running, chromium, holds, need_chromium, trial
from tests.agent.page.nodes import told
from tests.agent.page.served import page as served

pytestmark = [pytest.mark.feature("U3"), pytest.mark.realtime, pytest.mark.timeout(240)]
SCENARIO = str(Path(__file__).with_name("two.toml"))
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    need_chromium()
    folder = Path(tmp_path_factory.mktemp("t"))
    with trial(folder, scenario=SCENARIO) as found:
        found.until(lambda: found.read("live", node="user-a")["status"])
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def opened(browser: Any, running: Running, node: str = "user-a", **options: Any) -> Any:
    """A page on one node, its state seen; what it asks of other places, or says of errors, is kept on it."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 1200}, **options})
    page = context.new_page()
    page.foreign, page.errors = [], []
    page.on("request", lambda asked: None if asked.url.startswith(running.origin) else page.foreign.append(asked.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda told: page.errors.append(told.text) if told.type == "error" else None)
    # Whatever is not this page's own is cut off, as on a mast without a network.
    page.route(re.compile(".*"), lambda r: r.continue_() if r.request.url.startswith(running.origin) else r.abort())
    page.goto(running.url.replace("/#", f"/?node={node}#"))
    holds(page, "document.body.dataset.stale === 'false'")
    return page


@pytest.fixture(scope="module")
def page(browser: Any, running: Running) -> Any:
    return opened(browser, running)


def cells(page: Any, table: str) -> list[list[str]]:
    found: list[list[str]] = page.evaluate(
        "id => [...document.getElementById(id).tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText))", table
    )
    return found


def agrees(running: Running, said: Any) -> None:
    """Both move; some time within a while they say the same."""
    running.until(said, limit_s=15)


# -- what it shows -------------------------------------------------------------------------------------------------


def test_the_reason_of_silence_is_the_apis_word_for_word(page: Any, running: Running) -> None:
    def said() -> bool:
        why = running.read("silence", node="user-a")
        return (
            page.get_attribute("#why", "data-state") == why["state"]
            and page.inner_text("#why-meaning") == why["meaning"]
            and page.inner_text("#why-clause") == (why["clause"] or "–")
            and why["reason"] in page.inner_text("#why-state")
            and page.inner_text("#why-mend") == (why["mend"].replace("`", "") or "nothing")
        )

    agrees(running, said)


def test_each_panel_shows_what_the_api_carries(page: Any, running: Running) -> None:
    def header() -> bool:
        status = running.read("status", node="user-a")["status"]
        return (page.inner_text("#node-name"), page.inner_text("#kind")) == (status["node"], "SIMULATION")

    def market() -> bool:
        boxes = running.read("live", node="user-a")["boxes"]
        return len(boxes) > 0 and sorted(row[0].split()[0] for row in cells(page, "boxes")) == sorted(
            box["state"] for box in boxes
        )

    def channels() -> bool:
        known = running.read("status", node="user-a")["status"]["channels"]
        words = [one["state"] if one["state"] != "unknown" else "not sensed" for one in known]
        return [row[1] for row in cells(page, "channels")] == words and "3550–3560 MHz" in cells(page, "channels")[0][0]

    def clock() -> bool:
        known = running.read("clock", node="user-a")
        line = page.inner_text("#clock-line")
        return line.startswith("trusted: ") and "of 1 ms allowed" in line and known["reason"] in line

    def places() -> bool:
        status = running.read("status", node="user-a")["status"]
        names = [one["name"] for one in status["places"] if not one["own"]]
        return [row[0] for row in cells(page, "places")] == names and names == ["holder"]

    def log() -> bool:
        known = running.read("status", node="user-a")["status"]["log"]
        return f"\n{known['size']}\n" in page.inner_text("#log") and known["root"][:24] in page.inner_text("#log")

    for said in (header, market, channels, clock, places, log):
        agrees(running, said)


def test_refusals_are_counted_as_they_were_told(page: Any, running: Running) -> None:
    def counted() -> bool:
        known = running.read("live", node="user-a")["events"]
        events = [one for one in known if one["event"] in ("refusal", "refused")]
        reasons = {one["reason"] for one in events}
        shown = dict(re.findall(r"([A-Z_]+) (\d+)", page.inner_text("#refusal-counts")))
        return shown == {one: str(sum(event["reason"] == one for event in events)) for one in reasons}

    running.until(counted, limit_s=30)


def test_the_waterfall_is_live_and_drawn(page: Any, running: Running) -> None:
    before = page.evaluate("bandpact.waterfall.shown")
    running.until(lambda: page.evaluate("bandpact.waterfall.shown") > before + 20)
    levels = page.evaluate(
        "(() => { const seen = new Set(bandpact.waterfall.data); return [seen.has(0), seen.size]; })()"
    )
    assert levels[1] > 20
    assert page.evaluate("[...bandpact.state.lanes].length") > 0
    assert page.evaluate("bandpact.state.kept.at(-1).codes.length") == 1024


def test_nothing_is_asked_of_any_other_place_and_the_policy_is_kept(page: Any) -> None:
    assert page.foreign == []
    assert page.errors == []
    assert page.evaluate("sessionStorage.getItem('bandpact-token').length") > 30
    assert "token" not in page.url


def test_scrolling_back_shows_what_was(page: Any, running: Running) -> None:
    page.click("#spans button:has-text('2 min')")
    page.click("#back")
    holds(page, "!bandpact.view.live && !document.getElementById('pictures').hasAttribute('aria-busy')")
    assert page.get_attribute("#live", "aria-pressed") == "false"
    page.keyboard.press("l")
    holds(page, "bandpact.view.live")
    page.click("#spans button:has-text('20 s')")
    running.until(lambda: page.evaluate("bandpact.waterfall.slotNs") < 1e8)


def test_the_cursor_tells_hertz_decibels_the_difference_and_why_it_was_silent_then(page: Any, running: Running) -> None:
    box = page.locator("#overlay").bounding_box()
    page.mouse.move(box["x"] + 400, box["y"] + box["height"] * 0.6)
    running.until(lambda: re.search(r"\d+\.\d+ MHz\s+-?\d+\.\d dB", page.inner_text("#cursor")))
    running.until(lambda: re.match(r"at \d\d:\d\d:\d\d\.\dZ", page.inner_text("#why-at")))
    page.keyboard.press("m")
    page.mouse.move(box["x"] + 600, box["y"] + box["height"] * 0.6)
    running.until(lambda: re.search(r"Δ \d+\.\d+ MHz -?\d+\.\d dB", page.inner_text("#cursor")))
    page.keyboard.press("Escape")
    page.mouse.move(5, 5)
    running.until(lambda: page.inner_text("#why-at") == "")


def test_keys_are_shown_and_pictures_have_tables_and_names(page: Any) -> None:
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    assert "STOP" in page.inner_text("#keys")
    page.keyboard.press("Escape")
    unnamed = page.evaluate(
        "[...document.querySelectorAll('canvas:not([aria-label])')]"
        ".filter(c => !c.closest('[aria-hidden=true]')).map(c => c.id)"
    )
    assert unnamed == []
    page.click("summary")
    assert len(cells(page, "spectrum-table")) == 2
    assert cells(page, "lane-table")[0][2]
    page.click("summary")


def serious(page: Any) -> list[tuple[str, list[str]]]:
    """What axe finds serious or worse of a page that does without its own policy."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:90] for node in one["nodes"][:3]]) for one in found if one["impact"] in SERIOUS]


@pytest.mark.parametrize(
    ("scheme", "width"), [("dark", 1440), ("light", 1440), ("dark", 360)], ids=["dark", "light", "phone"]
)
def test_axe_finds_nothing_serious(browser: Any, running: Running, scheme: str, width: int) -> None:
    page = opened(browser, running, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    assert serious(page) == []
    page.context.close()


def test_a_phone_shows_it_without_sideways_scrolling(browser: Any, running: Running) -> None:
    page = opened(browser, running, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    stop = page.locator("#stop").bounding_box()
    assert stop["x"] + stop["width"] <= 360
    assert stop["height"] >= 32
    page.context.close()


# -- what it does --------------------------------------------------------------------------------------------------


def test_without_the_token_the_stop_asks_for_it_and_stops_nothing(browser: Any, running: Running) -> None:
    page = opened(browser, running)
    page.evaluate("sessionStorage.clear()")
    page.click("#stop")
    page.wait_for_selector("#token[open]")
    page.fill("#token-text", "wrong" * 9)
    page.click("#token button.stop")
    running.until(lambda: "NOT STOPPED" in page.inner_text("#said"))
    assert running.read("silence", node="user-a")["state"] != "LATCHED"
    page.context.close()


@pytest.mark.feature("U4")
@pytest.mark.timeout(300)
def test_k_silences_the_radio_by_the_oracles_word(page: Any, running: Running) -> None:
    running.until(lambda: page.get_attribute("#why", "data-state") == "OPEN", limit_s=90)
    page.locator("#plane").focus()
    page.keyboard.press("k")
    holds(page, "document.getElementById('why').dataset.state === 'LATCHED'")
    silent_ns = time.monotonic_ns()
    running.until(lambda: "RF " in page.inner_text("#said"), limit_s=60)
    assert "RF OFF" in page.inner_text("#said")
    assert "latched after" in page.inner_text("#said")
    air = AirClient(f"ipc://{running.work}/air")
    try:
        air.dump(timeout_ms=90_000)
        radios = air.state()["radios"]
    finally:
        air.close()
    sent = [one for one in read_log(running.work / "oracle.json") if one.radio == "user-a"]
    assert sent
    assert max(one.end_ns for one in sent) < silent_ns
    assert radios["user-a"]["tx"] in (None, False, "off", {}) or radios["user-a"]["rf"] == "off"
    running.until(lambda: page.get_attribute("#why", "data-state") == "LATCHED")


def pid_of(running: Running, node: str) -> int:
    wanted = f"agent.node.process {running.work}/{node}/"
    listed = subprocess.run(["pgrep", "-f", wanted], capture_output=True, text=True, check=True)
    return int(listed.stdout.split()[0])


def test_what_is_not_of_now_looks_so_and_says_treat_as_on(browser: Any, running: Running) -> None:
    page = opened(browser, running, "holder", bypass_csp=True)
    process = pid_of(running, "holder")
    os.kill(process, signal.SIGSTOP)
    try:
        holds(page, "document.body.dataset.stale === 'true'")
        assert serious(page) == []
        assert "STALE" in page.inner_text("#age")
        running.until(lambda: page.inner_text("#why-state").startswith("UNKNOWN: treat as ON"))
        newest = page.evaluate("bandpact.waterfall.newest")
        assert page.evaluate("bandpact.ageNow()") > 2000
        assert page.evaluate("bandpact.waterfall.newest") == newest  # no last row is repeated
    finally:
        os.kill(process, signal.SIGCONT)
    holds(page, "document.body.dataset.stale === 'false'")
    page.context.close()


# -- what a trial of two neighbours has none of --------------------------------------------------------------------


AUCTION = {"auction": "aa" * 32, "state": "bidding", "by": "holder", "function": "second price",
           "low_hz": 3_550_000_000, "high_hz": 3_560_000_000, "reserve": 5, "votes": 0,
           "required": 3, "winner": None, "price": None,
           "bids": [{"bidder": "ann", "price": None, "deposit_lost": 0}]}  # fmt: skip
APPROVAL = {"approval": "ab" * 32, "request": "cd" * 32, "state": "voting", "holder": "north", "user": "ann",
            "group": "offices", "epoch": 1, "function": "k of n", "need": 3, "low_hz": 3_550_000_000,
            "high_hz": 3_560_000_000, "unit": None, "commodity": "cbrs", "price": 7, "votes_for": 2, "votes_against": 1,
            "required": 3, "own_vote": "for", "granted": False}  # fmt: skip
HANDED = {"role": "given", "kind": "sublease", "settlement": "bb" * 32, "child": None, "by": "alice", "to": "bob",
          "low_hz": 3_550_000_000, "high_hz": 3_555_000_000, "eirp_mdbm": 17_000,
          "stage": "failed", "why": "NO_CONSENT"}  # fmt: skip
DISPUTE = {"state": "RULED", "level": 1, "ground": "fallback not kept", "sid": "cc" * 32, "by": "ann", "against": "bea",
           "claim": 9, "evidence": ["confirm 1"], "answer": "denied", "outcome": "compensate", "ordered": 7, "owed": 7,
           "paid": 0}  # fmt: skip
WHERE = {"name": "north", "clause": "north 12.3", "authority": "coast", "represented": True, "reconciliation": None,
         "area": {"lat_deg": 36.95, "lon_deg": -76.3, "radius_m": 2000.0}, "settlements": ["dd" * 32],
         "classes": [{"commodity": "cbrs", "max_eirp_mdbm": 24_000, "max_window_ns": 100 * 10**9}]}  # fmt: skip
STATIONS = {"worst_s": 1.5, "withheld": {"GATE": 2}, "heard_after": {}, "above": None,
            "ears": [{"device": "cbsd:A/2", "state": "ended", "verdict": "heard", "detail": "-70 dBm", "ended_s": 4.0,
                      "low_hz": 3_560_000_000, "high_hz": 3_570_000_000}],
            "cbsds": [{"device": "cbsd:A/1", "grant": "g1", "settlement": "ee" * 32, "low_hz": 3_550_000_000,
                       "high_hz": 3_560_000_000, "eirp_mdbm": 20_000, "transmit_until": "12:00:00Z",
                       "silent_by": "12:01:00Z", "returned": False}]}  # fmt: skip


def test_what_else_a_node_has_is_in_a_table_of_its_own_and_else_nowhere(browser: Any, tmp_path: Path) -> None:
    now = time.time_ns()
    window = {"start_ns": now, "end_ns": now + 60 * 10**9}
    auction = {**AUCTION, **window, "bids_by_ns": now + 30 * 10**9, "reveals_by_ns": now, "vote_by_ns": now}
    asked = {**APPROVAL, **window, "vote_by_ns": now + 30 * 10**9}
    approvals = [asked, {**asked, "state": "decided", "granted": True}, {**asked, "state": "void"}]
    rest = {"handovers": [{**HANDED, **window}], "disputes": [DISPUTE], "jurisdictions": [WHERE]}
    state = told(auctions=[auction], approvals=approvals, **rest)
    with served(tmp_path) as here:
        page = browser.new_page()
        page.goto(here.origin)
        # Said over and over: on a busy machine the page may look at what was said once when it is stale by then.
        while page.evaluate("document.body.dataset.stale !== 'false'"):
            here.feed.say("state", told())
        assert not page.is_visible("#more-panel")
        here.feed.say("state", state)
        page.wait_for_selector("#auctions-part", state="visible")
        row = cells(page, "auctions")[0]
        assert row[0].startswith("bidding")
        assert "s left" in row[0]
        assert "3550–3560 MHz" in row[1]
        assert row[2:] == ["ann sealed", "0 of 3", "not yet"]
        assert page.get_by_role("table", name="REQUESTs that a group has to approve").is_visible()
        voting, granted, void = cells(page, "approvals")
        assert "s left" in voting[0]
        assert voting[1].startswith("ann asks north")
        assert "3550–3560 MHz" in voting[2]
        assert voting[3].startswith("2 for, 1 against")
        assert "3 required of offices (k of n, 3); voted for here" in voting[3]
        assert [row[4] for row in (voting, granted, void)] == [
            "not yet",
            "approved, GRANT given",
            "not approved in time",
        ]
        row = cells(page, "handovers")[0]
        assert "NO_CONSENT" in row[0]
        assert row[2:5] == ["alice to bob", "3550–3555 MHz", "17.0 dBm"]
        row = cells(page, "disputes")[0]
        assert row[2] == "ann against bea"
        assert "7 not paid yet" in row[5]
        row = cells(page, "jurisdictions")[0]
        assert (row[2], row[3], row[4]) == ("cbrs: at most 24.0 dBm, 1 min 40 s", "none", "coast, this node's own")
        assert "dddddddd" in row[5]
        assert not page.is_visible("#stations-part")
        # Read in the same call: the page goes on drawing what its node says, and that has no base stations.
        (granted, ended), withheld = page.evaluate(
            """async ([state, stations, now]) => {
                (await import('/static/market.js')).showMarket({ status: state, base_stations: stations }, now);
                const rows = [...document.getElementById('stations').tBodies[0].rows];
                const text = document.getElementById('withheld').innerText;
                return [rows.map(row => [...row.cells].map(cell => cell.innerText)), text];
            }""",
            [state, STATIONS, now],
        )
        assert (granted[0], granted[3], granted[5]) == ("granted", "20.0 dBm", "12:01:00Z")
        assert ended[:2] == ["ended", "cbsd:A/2"]
        assert ended[5] == "by ear: heard: -70 dBm"
        assert "withheld 2 times: GATE" in withheld
        page.context.close()


def test_a_part_of_another_quantity_is_in_the_table_and_not_in_the_band(browser: Any, tmp_path: Path) -> None:
    offer = {"offer": "ab" * 16, "role": "heard", "holder": "h", "low_hz": 0, "high_hz": 100_000_000, "unit": "bit/s",
             "start_ns": time.time_ns(), "end_ns": time.time_ns() + 60 * 10**9, "eirp_mdbm": 0}  # fmt: skip
    with served(tmp_path) as here:
        page = browser.new_page()
        page.goto(here.origin)
        here.feed.say("state", told(offers=[offer]))
        holds(page, "document.getElementById('boxes').tBodies[0].rows.length === 1")
        holds(page, "document.getElementById('boxes').innerText.includes('bit/s')")
        assert cells(page, "boxes")[0][1:3] == ["0–100 Mbit/s", "–"]
        page.context.close()
