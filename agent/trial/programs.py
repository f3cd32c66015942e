"""The applications of a trial's nodes: starts GNU Radio flowgraphs beside them, and reports on their samples."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.samples.plan import RECEIVE, TRANSMIT
from agent.samples.shared import FILE
from agent.trial.folder import Layout
from agent.trial.processes import Child, TrialError
from agent.trial.spec import Program

PYTHON = "/usr/bin/python3"
FLOWGRAPH = Path(__file__).with_name("flowgraph.py")
PROBE_S = 60.0
STILL_MS_MAX = 1000.0
LOOK_S = 0.5
TICKS = os.sysconf("SC_CLK_TCK")
PARTS = {"agent.node.process": "agent", "agent.node.warden_process": "warden", "agent.samples.process": "door"}


def missing() -> str | None:
    """Return why no flowgraph can be run here; None where one can."""
    try:
        probe = subprocess.run(
            [PYTHON, "-c", "from gnuradio import analog, blocks, gr, zeromq"],
            capture_output=True,
            text=True,
            timeout=PROBE_S,
            check=False,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"GNU Radio does not answer ({exc}); apt-get install gnuradio"
    if probe.returncode == 0:
        return None
    return f"{PYTHON} has no GNU Radio ({probe.stderr.strip().splitlines()[-1:]}); apt-get install gnuradio"


def _environment() -> dict[str, str]:
    """Return the environment without variables of this program's own interpreter."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def start_programs(layout: Layout) -> list[Child]:
    """Start the flowgraphs; none if the scenario has none. Raises TrialError."""
    if not layout.spec.programs:
        return []
    why = missing()
    if why is not None:
        raise TrialError(f"this scenario needs GNU Radio: {why}")
    return [_start(layout, program) for program in layout.spec.programs]


def _start(layout: Layout, program: Program) -> Child:
    folder, run = layout.root / program.node, layout.root / program.node / "run"
    errors = layout.root / f"{program.node}-program.err"
    command = [
        PYTHON,
        str(FLOWGRAPH),
        *("--transmit", f"ipc://{run / TRANSMIT}"),
        *("--receive", f"ipc://{run / RECEIVE}"),
        *("--report", str(folder / "program.json")),
        *("--rate", str(program.sample_rate_hz or layout.scenario.radio.sample_rate_hz)),
        *("--tone", str(program.tone_hz)),
        *("--amplitude", str(program.amplitude)),
    ]
    with errors.open("wb") as err:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=err, stderr=err, start_new_session=True, env=_environment()
        )
    return Child(name=f"{program.node}-program", process=process, errors=errors)


@dataclass(slots=True)
class _Spent:
    """CPU seconds at the first and at the last reading, with their times (monotonic s)."""

    first: float
    first_at: float
    last: float
    last_at: float


class CpuMeter:
    """CPU time of the nodes' processes, each while its node's gate is open."""

    def __init__(self, nodes: list[Child]) -> None:
        self._roots = {child.name: child.process.pid for child in nodes}
        self._next_s = 0.0
        self._open = dict.fromkeys(self._roots, False)
        self._spent: dict[tuple[str, str], _Spent] = {}

    def event(self, event: dict[str, Any]) -> None:
        """Follow the gates' states."""
        if event["event"] == "gate" and event["node"] in self._open and not event["asked"]:
            self._open[event["node"]] = event["state"] == "OPEN"

    def look(self, now_s: float) -> None:
        """Read the CPU time so far, twice a second."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + LOOK_S
        for node, root in self._roots.items():
            if not self._open[node]:
                continue
            for part, used in _used(root).items():
                spent = self._spent.setdefault((node, part), _Spent(used, now_s, used, now_s))
                spent.last, spent.last_at = used, now_s

    def all(self) -> dict[str, dict[str, float]]:
        """Return the shares of every node whose gate was open."""
        return {node: self.shares(node) for node in sorted({node for node, _ in self._spent})}

    def shares(self, node: str) -> dict[str, float]:
        """Return each process's share of one core while the gate was open."""
        return {
            part: round((s.last - s.first) / (s.last_at - s.first_at), 4)
            for (name, part), s in self._spent.items()
            if name == node and s.last_at > s.first_at
        }


def _used(root: int) -> dict[str, float]:
    """Return CPU seconds of a node's agent and of its children, by kind of process."""
    found: dict[str, float] = {}
    for pid in [root, *_children(root)]:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        after = words.index(b"-m") + 1 if b"-m" in words else len(words)
        module = words[after].decode(errors="replace") if after < len(words) else "?"
        found[PARTS.get(module, module)] = (int(fields[11]) + int(fields[12])) / TICKS
    return found


def _children(pid: int) -> list[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found |= {int(child) for child in task.read_text().split()}
        except OSError:
            continue
    return sorted(found)


def told(layout: Layout, meter: CpuMeter) -> tuple[dict[str, Any], ...]:
    """Return each program's and its node's door's last state, and the CPU cost."""
    return tuple(
        {
            "node": program.node,
            "tone_hz": program.tone_hz,
            "program": _json(layout.root / program.node / "program.json"),
            "door": _json(layout.root / program.node / "run" / FILE),
            "cpu": meter.shares(program.node),
        }
        for program in layout.spec.programs
    )


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def unshown(told_: tuple[dict[str, Any], ...]) -> list[str]:
    """Return why a trial showed nothing of a program: it sent or received nothing."""
    return [f"{one['node']}: its program sent or received nothing" for one in told_ if not _ran(one["program"])]


def faults(told_: tuple[dict[str, Any], ...]) -> list[str]:
    """Return why a trial fails because of a program: it stood still."""
    return [
        f"{one['node']}: nothing was {what} for {1000 * one['program'][f'{what}_still_s']:.0f} ms by its program"
        for one in told_
        for what in ("sent", "received")
        if _ran(one["program"]) and 1000 * one["program"][f"{what}_still_s"] > STILL_MS_MAX
    ]


def _ran(program: dict[str, Any] | None) -> bool:
    return program is not None and bool(program["sent"]) and bool(program["received"])
