"""The page measured and attacked: gate to screen, rows a second, hostile requests. Sizes by environment variables.

BANDPACT_PAGE_REQUESTS (2000), BANDPACT_PAGE_MOVES (40), BANDPACT_PAGE_ROWS_S (10). Figures are printed; `pytest -s`.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.agent.page.browser import chromium, holds
from tests.agent.page.nodes import told
from tests.agent.page.served import ROOT, page

REQUESTS = int(os.environ.get("BANDPACT_PAGE_REQUESTS", "2000"))
MOVES = int(os.environ.get("BANDPACT_PAGE_MOVES", "40"))
ROWS_S = float(os.environ.get("BANDPACT_PAGE_ROWS_S", "10"))
pytestmark = pytest.mark.feature("U3")


def moved(state: str, previous: str) -> dict[str, Any]:
    reason = "" if state == "OPEN" else "LEASE"
    return {"state": state, "previous": previous, "reason": reason, "clause": "gate.9" if reason else "",
            "measured": "m", "required": "r", "sid": None, "asked": False, "told_ns": time.monotonic_ns()}  # fmt: skip


def spread(values: list[float]) -> str:
    held = sorted(values)
    at = [held[min(len(held) - 1, int(share * len(held)))] for share in (0.5, 0.95)]
    return f"p50 {at[0]:.0f}, p95 {at[1]:.0f}, max {held[-1]:.0f} ms of {len(held)}"


def test_from_the_gates_word_to_the_screen(tmp_path: Path) -> None:
    with page(tmp_path) as served, chromium() as browser:
        seen = browser.new_page()
        seen.goto(served.origin)
        while seen.evaluate("document.body.dataset.stale !== 'false'"):
            served.feed.say("state", told())
        late = []
        for n in range(MOVES):
            served.feed.say("state", told())
            change = moved(*(("OPEN", "ARMED") if n % 2 == 0 else ("ARMED", "OPEN")))
            wall = time.time() * 1000 - time.monotonic_ns() / 1e6
            served.feed.say("gate", change)
            holds(seen, f"document.getElementById('why').dataset.toldNs === '{change['told_ns']}'")
            shown = f"Number(document.getElementById('why').dataset.shownMs) > {change['told_ns'] / 1e6 + wall}"
            holds(seen, shown)
            shown_ms = seen.evaluate("Number(document.getElementById('why').dataset.shownMs)")
            late.append(shown_ms - wall - change["told_ns"] / 1e6)
            assert seen.get_attribute("#why", "data-state") == change["state"]
    print(f"\ngate to screen: {spread(late)}")


@pytest.mark.parametrize("draw", ["2d", "webgl2"])
def test_the_waterfall_holds_sixty_rows_of_4096_bins_a_second(tmp_path: Path, draw: str) -> None:
    with page(tmp_path) as served, chromium() as browser:
        seen = browser.new_page(viewport={"width": 1440, "height": 1000})
        seen.goto(f"{served.origin}/?draw={draw}")
        served.feed.say("state", told())
        holds(seen, "document.body.dataset.stale === 'false' && Boolean(bandpact.waterfall.data)")
        assert seen.get_attribute("#waterfall", "data-backend") == draw
        found = seen.evaluate(
            """async (seconds) => {
              const codes = new Uint8Array(4096).map((_, n) => 60 + n % 50);
              let busy = 0, rows = 0, frames = 0, going = true;
              const count = () => { frames++; if (going) requestAnimationFrame(count); };
              requestAnimationFrame(count);
              const began = performance.now();
              while (performance.now() - began < seconds * 1000) {
                while (rows < (performance.now() - began) * 0.06) {
                  const at = performance.now();
                  const atNs = (performance.now() + bandpact.state.offsetMs) * 1e6;
                  bandpact.heardRow({ atNs, lowHz: 3.5e9, highHz: 3.6e9, flags: 0, codes });
                  busy += performance.now() - at;
                  rows++;
                }
                await new Promise((resume) => setTimeout(resume, 4));
              }
              going = false;
              const took = performance.now() - began;
              return { rows: rows / took * 1000, share: busy / took, frames: frames / took * 1000 };
            }""",
            ROWS_S,
        )
    print(f"\n{draw}: {found['rows']:.1f} rows/s, {100 * found['share']:.1f} % of the browser's thread, "
          f"{found['frames']:.0f} frames/s")  # fmt: skip
    assert found["rows"] > 50


def test_hostile_requests_end_nothing_and_grow_nothing(tmp_path: Path) -> None:
    with page(tmp_path) as served:
        place = served.origin.removeprefix("http://")
        served.feed.say("state", told())

        def sieged(count: int, seed: int) -> dict[str, Any]:
            command = [sys.executable, "-m", "tests.soak.hostile", place, str(count), str(seed)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as client:
                while client.poll() is None:
                    served.feed.say("state", told())
                    time.sleep(0.5)
                assert client.stdout is not None
                found: dict[str, Any] = json.loads(client.stdout.read())
            return found

        # What a page takes with many connections at once is taken once, at the latest where most of them come together:
        # what grows does so in the second half as well.
        sieged(min(max(2000, REQUESTS // 10), 60_000), 4)
        first_mb, cpu = served.resident_mb(), served.cpu_s()
        halves = sieged(REQUESTS // 2, 5), served.resident_mb(), sieged(REQUESTS // 2, 6)
        served.feed.say("state", told())
        assert httpx.get(f"{served.origin}/api/v1/status", timeout=20).status_code == 200
        one, middle_mb, other = halves
        last_mb, cost_ms = served.resident_mb(), 1e3 * (served.cpu_s() - cpu) / (one["sent"] + other["sent"])
        assert sum(log.stat().st_size for log in tmp_path.glob("page.log*")) <= 3 << 20
        print(f"\n{one}\n{other}\n{first_mb:.0f}, {middle_mb:.1f}, {last_mb:.1f} MB; {cost_ms:.2f} ms each")
        assert served.process.poll() is None
        for found in (one, other):
            assert found["faults"] == []
            assert found["websockets"] > found["sent"] / 10
        assert last_mb - middle_mb < 10
        assert last_mb - first_mb < 40


def test_what_the_description_promises_is_kept(tmp_path: Path) -> None:
    """Schemathesis asks what the description of the API allows, and what it does not."""
    with page(tmp_path) as served:
        served.feed.say("state", told())
        most = min(2500, max(5, REQUESTS // 100))  # of each of the operations that are described
        checks = "not_a_server_error,status_code_conformance,response_schema_conformance,content_type_conformance"
        options = ["--max-examples", str(most), "--seed", "1", "--exclude-path", "/api/v1/stream", "--checks", checks]
        described = f"{served.origin}/api/v1/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", described, "--request-timeout", "20", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=None, cwd=tmp_path, check=False)
        print("\n" + "\n".join(done.stdout.splitlines()[-12:]))
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        assert served.process.poll() is None


def test_what_the_page_costs_while_nobody_looks_and_while_somebody_does(tmp_path: Path) -> None:
    with page(tmp_path) as served:

        def seconds(count: int, watched: bool) -> float:
            began, cpu = time.monotonic(), served.cpu_s()
            for _ in range(count):
                served.feed.say("state", told())
                for _ in range(50):
                    if watched and b"row" in served.feed.follow():
                        served.feed.say("row", bytes(40) + bytes(4096))
                    time.sleep(0.02)
            return (served.cpu_s() - cpu) / (time.monotonic() - began)

        seconds(1, False)
        idle, idle_mb = seconds(5, False), served.resident_mb()
        with chromium() as browser:
            seen = browser.new_page()
            seen.goto(served.origin)
            looked = seconds(5, True)
    print(f"\nthe page's process unwatched: {100 * idle:.1f} % of a core, {idle_mb:.0f} MB")
    print(f"watched, with 50 rows of 4096 bins a second: {100 * looked:.1f} % of a core")
