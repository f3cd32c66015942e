"""Takes the pictures of the documentation: `python -m tests.agent.page.pictures [FOLDER]`, docs/pictures if not said.

A trial runs, Debian's Chromium looks at its page, and five pictures are kept: a phone, why a radio is silent now, the
same of an instant before, the emergency stop, and sunlight. None is kept of a page that is not live.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agent.page.browser import ROOT, Running, chromium, holds, trial

SCENARIO = Path(__file__).with_name("pictures.toml")
WIDE, TALL = {"width": 1440, "height": 1180}, {"width": 1440, "height": 1620}
LIVE = "document.body.dataset.stale === 'false'"
FILLS_MS = 9000
"""Time in ms until the waterfall has some rows."""


@contextlib.contextmanager
def opened(browser: Any, running: Running, node: str, scheme: str, viewport: dict[str, int]) -> Iterator[Any]:
    """A page on one node, live when it is handed over; one at a time, for each draws all the while."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    page = context.new_page()
    page.goto(running.url.replace("/#", f"/?node={node}#"))
    holds(page, LIVE, 60)
    page.wait_for_timeout(FILLS_MS)
    yield page
    context.close()


def kept(page: Any, path: Path) -> None:
    """A picture of a page that is live when it is taken."""
    holds(page, LIVE, 60)
    page.screenshot(path=path)
    assert page.evaluate(LIVE), f"{path}: the state was not of now; is this machine busy?"


def taken(folder: Path, running: Running, browser: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    running.until(lambda: running.read("silence", node="user-a")["state"] == "OPEN", limit_s=80)
    with opened(browser, running, "user-a", "dark", {"width": 360, "height": 780}) as phone:
        kept(phone, folder / "phone.png")

    def displaced() -> bool:
        live = running.read("live", node="user-a")
        heard = any(one["event"] == "incumbent" for one in live["events"])
        return bool(heard and live["silence"]["silent"] and live["silence"]["before"])

    with opened(browser, running, "user-a", "dark", WIDE) as live:
        try:
            running.until(displaced, limit_s=200)
        except AssertionError:
            raise AssertionError(running.read("live", node="user-a")["events"][-12:]) from None
        live.wait_for_timeout(1500)
        kept(live, folder / "silent.png")
        box = live.locator("#overlay").bounding_box()
        live.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + box["height"] * 0.34)
        live.wait_for_timeout(600)
        kept(live, folder / "then.png")
        live.mouse.move(5, 5)
        live.keyboard.press("k")
        running.until(lambda: "RF OFF" in live.inner_text("#said"), limit_s=60)
        live.wait_for_timeout(1500)
        kept(live, folder / "stopped.png")
    with opened(browser, running, "holder", "light", TALL) as sun:
        kept(sun, folder / "sunlight.png")


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]) if arguments else ROOT / "docs" / "pictures"
    work = Path(tempfile.mkdtemp(prefix="p", dir="/tmp"))
    try:
        with trial(work, scenario=str(SCENARIO)) as running, chromium() as browser:
            taken(folder, running, browser)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
