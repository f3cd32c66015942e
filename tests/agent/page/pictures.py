"""Takes the pictures of the documentation: `python -m tests.agent.page.pictures [FOLDER]`, docs/pictures if not said.

A trial runs, Debian's Chromium looks at its page, and four pictures are kept: why a radio is silent on the time axis,
the same in sunlight, a phone, and the emergency stop.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.agent.page.browser import ROOT, Running, chromium, trial

WIDE = {"width": 1440, "height": 1180}


def opened(browser: Any, running: Running, node: str, scheme: str, viewport: dict[str, int]) -> Any:
    page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
    page.goto(running.url.replace("/#", f"/?node={node}#"))
    return page


def taken(folder: Path, running: Running, browser: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    live = opened(browser, running, "user-b", "dark", WIDE)
    sun = opened(browser, running, "holder", "light", WIDE)
    phone = opened(browser, running, "user-a", "dark", {"width": 360, "height": 780})

    def incumbent() -> bool:
        events = running.read("live", node="user-b")["events"]
        return any(one["event"] == "gate" and one["reason"] == "PREEMPTED" for one in events)

    running.until(incumbent, limit_s=120)
    time.sleep(3)
    phone.screenshot(path=folder / "phone.png")
    events = running.read("live", node="user-b")["events"]
    live.wait_for_timeout(500)
    box = live.locator("#overlay").bounding_box()
    at = live.evaluate(
        "(() => { const l = bandpact.state.lanes.findLast(o => o.g === 'ARMED' && o.m && o.r !== 'NO_PERMIT')"
        " ?? bandpact.state.lanes.at(-1); return (bandpact.view.topNs - l.t - l.n / 2) / bandpact.view.spanNs; })()"
    )
    live.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + box["height"] * min(0.97, max(0.2, at)))
    live.wait_for_timeout(600)
    live.screenshot(path=folder / "silent.png")
    assert events
    sun.screenshot(path=folder / "sunlight.png", full_page=True)
    live.mouse.move(5, 5)
    live.keyboard.press("k")
    running.until(lambda: "RF OFF" in live.inner_text("#said"), limit_s=60)
    live.wait_for_timeout(1500)
    live.screenshot(path=folder / "stopped.png")


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]) if arguments else ROOT / "docs" / "pictures"
    work = Path(tempfile.mkdtemp(prefix="p", dir="/tmp"))
    try:
        with trial(work, duration="120s") as running, chromium() as browser:
            taken(folder, running, browser)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
