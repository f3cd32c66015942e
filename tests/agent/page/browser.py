"""Runs Debian's Chromium for browser tests, and a trial with its page; tests are skipped without Chromium."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = os.environ.get("BANDPACT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# The sandbox needs user namespaces, which containers often lack; the page under test is our own.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]
TAKES_UP_S = 90.0


def need_chromium() -> str:
    """The path of Chromium; without it the test is skipped, or fails where it is required."""
    if CHROMIUM is None:
        message = "chromium is not here; apt-get install chromium"
        if os.environ.get("BANDPACT_REAL_PARTS") == "required":
            pytest.fail(message)
        pytest.skip(message)
    return CHROMIUM


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    path = need_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def holds(page: Any, script: str, limit_s: float = 60.0) -> None:
    """Wait for a script expression to hold; through the debugger, as the page's policy forbids `eval`."""
    end = time.monotonic() + limit_s
    while not page.evaluate(script):
        assert time.monotonic() < end, script
        page.wait_for_timeout(50)


class Running:
    """A running trial with its page: `url` has the token behind the #."""

    def __init__(self, url: str, folder: Path, process: "subprocess.Popen[str]", work: Path) -> None:
        self.url, self.folder, self.process, self.work = url, folder, process, work
        self.origin, _, self.token = url.partition("/#token=")

    def read(self, path: str, **parameters: Any) -> Any:
        """One read of the API."""
        answer = httpx.get(f"{self.origin}/api/v1/{path}", params=parameters, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def until(self, holds: Any, limit_s: float = 40.0) -> Any:
        """Ask again until something holds; returns it."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError, KeyError, TypeError, StopIteration):
                found = holds()
                if found:
                    return found
            time.sleep(0.1)
        raise AssertionError("it did not come to be in time")


@contextlib.contextmanager
def trial(
    folder: Path, *, scenario: str = "neighbours", duration: str | None = None, seed: int = 7
) -> Iterator[Running]:
    """`bandpact trial --serve`; asked to end as Ctrl-C does when left."""
    work = folder / "w"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(work), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "agent.cli.main", "trial", "--serve", "--seed", str(seed), "--scenario", scenario,
               "--report", str(folder / "report"), *(["--duration", duration] if duration else [])]  # fmt: skip
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True, env=environment
        )
        try:
            end = time.monotonic() + TAKES_UP_S
            url = None
            while url is None and time.monotonic() < end and process.poll() is None:
                lines = (folder / "said").read_text().splitlines()
                url = next((line.split()[-1] for line in lines if line.strip().startswith("page")), None)
                time.sleep(0.1)
            assert url is not None, (folder / "said").read_text()
            yield Running(url, folder, process, next(iter(work.glob("bandpact-*"))))
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
