"""The agent's side of the samples door: starts its process, restarts it, and reports its state."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from agent.config.settings import NodeConfig
from agent.node.events import EventLog
from agent.samples.plan import door_plan
from agent.samples.shared import FILE, rings_of
from hw_profiles.smallfile import read_small
from radio.process import child_environment
from radio.restarts import Restarts
from radio.ring import SampleRing

STOP_S = 2.0
FRESH_NS = 2_000_000_000
MODULE = "agent.samples.process"


class SamplesSide:
    """The process of the samples door, where a program makes this node's samples; does nothing where none does.

    Makes the sample rings before the warden opens them. Raises ConfigError, RingError.
    """

    def __init__(self, config: NodeConfig, config_path: Path, events: EventLog) -> None:
        self._config, self._path, self._events = config, config_path, events
        self._plan = door_plan(config)
        self._rings: tuple[SampleRing, SampleRing] | None = None
        if self._plan is not None:
            self._rings = rings_of(config, self._plan, create=True)
            (config.run_folder / FILE).unlink(missing_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = Restarts()
        self._starts = 0
        self._tried = False
        self._untold = True
        self._known = {"sending": False, "reading": False}
        self.turn(0)

    def turn(self, now_ns: int) -> None:
        """Keep the process running: report one that ended and start it again, with growing pauses while it fails."""
        if self._plan is None or (self._process is not None and self._process.poll() is None):
            return
        if self._process is not None:
            self._events.write("samples door ended", code=self._process.returncode, log="samples.log")
            self._process = None
        if self._tried and not self._restarts.due(now_ns / 1e9):
            return
        self._tried = True
        self._restarts.begun(now_ns / 1e9)
        try:
            self._process = self._started()
        except OSError as exc:  # no process, descriptor or memory is left: the node continues without its program
            self._tell_once("samples door not started", why=exc.strerror or str(exc))
            return
        self._untold = True
        self._starts += 1

    def _started(self) -> "subprocess.Popen[bytes]":
        with (self._config.folder / "samples.log").open("a") as log:
            command = [sys.executable, "-P", "-m", MODULE, str(self._path)]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=child_environment())

    def _tell_once(self, event: str, **fields: str) -> None:
        """Report why the door cannot start, once until it starts."""
        if self._untold:
            self._untold = False
            self._events.write(event, **fields)

    def state(self, now_ns: int) -> dict[str, Any] | None:
        """Return the door's state for `status` and metrics, None without one; reports programs that come or go."""
        if self._plan is None:
            return None
        told = _read(self._config.run_folder / FILE)
        fresh = told is not None and now_ns - int(told["mono_ns"]) < FRESH_NS
        alive = self._process is not None and self._process.poll() is None and fresh
        for what, before in self._known.items():
            now = bool(alive and told is not None and told[what])
            if now != before:
                self._known[what] = now
                self._events.write("samples", program=what if now else f"no longer {what}")
        return {"alive": alive, "starts": self._starts, "door": told if fresh else None}

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(read_small(path))
        return found if isinstance(found, dict) and isinstance(found["mono_ns"], int) else None
    except (OSError, ValueError, KeyError, RecursionError):
        return None
