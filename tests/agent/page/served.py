"""Serves the page's own process over a fake node."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.page.pageprocess import listening
from agent.page.plan import PagePlan, ServedNode
from tests.agent.page.nodes import Feed

ROOT = Path(__file__).resolve().parents[3]


class Served:
    """The page's process over a fake node."""

    def __init__(self, origin: str, process: "subprocess.Popen[bytes]", feed: Feed, token: str) -> None:
        self.origin, self.process, self.feed, self.token = origin, process, feed, token

    def resident_mb(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def page(folder: Path) -> Iterator[Served]:
    (folder / "here").mkdir()
    feed = Feed(folder / "here")
    door = listening("127.0.0.1", 0)
    port = door.getsockname()[1]
    here = ServedNode(name="here", run_folder=folder / "here", folder=folder / "here", config=folder / "no.toml")
    plan = PagePlan(nodes=(here,), host="127.0.0.1", port=port, fd=door.fileno(), token_file=folder / "token")
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.page.process", str(plan.write(folder / "plan.json"))],
        pass_fds=[door.fileno()],
        cwd=ROOT,
    )
    try:
        end = time.monotonic() + 60
        while not {b"state", b"gate"} <= feed.follow():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        yield Served(plan.origin, process, feed, (folder / "token").read_text())
    finally:
        process.terminate()
        process.wait(20)
        feed.close()
        door.close()
