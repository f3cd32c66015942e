"""Tests of what the page shows where the transmitter's state is unknown, and for past instants."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.agent.page.browser import chromium, holds
from tests.agent.page.nodes import told
from tests.agent.page.served import Served, page

pytestmark = [pytest.mark.realtime, pytest.mark.feature("U3")]
LIVE = "document.body.dataset.stale === 'false'"
SHOWN = "document.getElementById('why').innerText"


class Said:
    """What the node says, again and again, until it falls silent."""

    def __init__(self, served: Served) -> None:
        self.changes: dict[str, Any] | None = {}
        self.ends = threading.Event()
        self._served = served
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self.ends.wait(0.25):
            if self.changes is not None:
                self._served.feed.say("state", told(**self.changes))

    def close(self) -> None:
        self.ends.set()
        self._thread.join()


@contextmanager
def looked_at(folder: Path) -> Iterator[tuple[Served, Said, Any]]:
    with page(folder) as served, chromium() as browser:
        said = Said(served)
        try:
            seen = browser.new_page(viewport={"width": 1280, "height": 800})
            seen.goto(served.origin)
            holds(seen, LIVE, 60)
            yield served, said, seen
        finally:
            said.close()


def test_unknown_says_whether_warden_radio_agent_or_the_pages_own_server_is_gone(tmp_path: Path) -> None:
    with looked_at(tmp_path) as (served, said, seen):
        assert not seen.is_visible("#nodes"), "one node needs no choice of nodes"
        said.changes = {"warden": False}
        holds(seen, f"{SHOWN}.includes('the warden does not run') && {SHOWN}.includes('start it again')")
        said.changes = {"gate": None}
        holds(seen, f"{SHOWN}.includes('the radio does not answer yet')")
        said.changes = None
        holds(seen, f"{SHOWN}.includes('last heard')", 30)
        served.process.terminate()
        holds(
            seen, f"{SHOWN}.includes('server has not answered') && {SHOWN}.includes('STOP here may not reach it')", 60
        )


def test_the_cursor_is_never_at_an_instant_that_is_not_on_the_picture(tmp_path: Path) -> None:
    window = "[bandpact.view.topNs - bandpact.view.spanNs, bandpact.view.topNs, bandpact.state.cursor?.ns ?? null]"
    with looked_at(tmp_path) as (_, _, seen):
        seen.focus("#pictures")
        for key in ("ArrowDown", "ArrowDown", "PageDown", "PageDown", "PageDown", "ArrowDown", "PageUp"):
            seen.keyboard.press(key)
            low, high, at = seen.evaluate(window)
            assert low <= at <= high, key
        seen.keyboard.press("l")
        # Time goes on and takes the instant out of what is live: then the page speaks of now again.
        holds(seen, "bandpact.state.cursor === null && document.getElementById('why').dataset.then === 'false'", 60)
