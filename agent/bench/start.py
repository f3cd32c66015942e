"""Time that a user waits for `bandpact --help`, and for `bandpact run` until the node is ready.

A node is ready by its event file: its log is open and read, and its loop takes messages.
Each start has a fresh folder and serves page and health probes, as a service does; what was compiled is kept.
"""

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.bench.node import HOLDER, layout_of
from agent.node.events import read_events
from agent.trial.folder import Layout
from agent.trial.processes import COMMAND, TrialError, free_ports, serve, stop
from agent.trial.run import start_air, work_folder
from sensing.compilation import make_ready

PATIENCE_S = 60.0
POLL_S = 0.02
TARGETS = {"help_s": 0.3, "ready_s": 2.0}


@dataclass(frozen=True, slots=True)
class Waits:
    """Waiting times in seconds, one per round."""

    each_s: tuple[float, ...]

    def figures(self) -> dict[str, float | int]:
        """Return median and largest, and their number."""
        return {
            "median_s": round(statistics.median(self.each_s), 3),
            "max_s": round(max(self.each_s), 3),
            "count": len(self.each_s),
        }


def _help_s() -> float:
    began_s = time.monotonic()
    command = [sys.executable, "-P", "-m", COMMAND, "--help"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise TrialError(f"bandpact --help ended with {done.returncode}: {done.stderr[-300:].decode(errors='replace')}")
    return time.monotonic() - began_s


def _ready_s() -> float:
    """Return seconds from the start of a node's command to its event `ready`, both by the monotonic clock."""
    with work_folder() as work:
        layout = layout_of(Path(work))
        air, _ = start_air(layout)
        children = [air]
        try:
            health, page = free_ports(2, None)
            began_ns = time.monotonic_ns()
            node = serve(HOLDER, layout.config_of(HOLDER), layout.root, health_port=health, page_port=page)
            children.insert(0, node)
            while (ready_ns := _ready_ns(layout)) is None:
                ended = next((said for child in children if (said := child.failed()) is not None), None)
                if ended is not None or time.monotonic_ns() - began_ns > PATIENCE_S * 1e9:
                    raise TrialError(f"the node did not get ready: {ended or f'nothing in {PATIENCE_S:g} s'}")
                time.sleep(POLL_S)
        finally:
            stop(children)
    return (ready_ns - began_ns) / 1e9


def _ready_ns(layout: Layout) -> int | None:
    said = read_events(layout.root / HOLDER)
    return next((int(event["mono_ns"]) for event in said if event["event"] == "ready"), None)


def run(*, rounds: int) -> dict[str, Any]:
    """Time each start `rounds` times, after one that does not count. Raises TrialError."""
    make_ready()
    # Modules stay compiled from the first start on, as in an installation, whatever this process's environment.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    _help_s()
    helped = Waits(tuple(_help_s() for _ in range(rounds))).figures()
    _ready_s()
    ready = Waits(tuple(_ready_s() for _ in range(rounds))).figures()
    met = helped["median_s"] <= TARGETS["help_s"] and ready["median_s"] <= TARGETS["ready_s"]
    return {"help": helped, "ready": ready, "targets": TARGETS, "met": met}
