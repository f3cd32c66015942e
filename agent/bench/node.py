"""Processor time and memory of a node that runs, senses, holds one settlement and transmits in it."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.node.events import read_events
from agent.trial.folder import Layout, prepare
from agent.trial.processes import Child, TrialError, free_ports, spawn, stop
from agent.trial.run import NODE, Options, await_ready, scenario_of, start_air, work_folder
from sensing.compilation import is_linked, make_ready
from sensing.loops import BY_NUMBA, CHOICE

HOLDER, USER = "holder", "user-a"
SCENARIO, SEED = "neighbours", 7
LONG_S = 3600.0
"""Length in seconds of a scenario whose radar is far off, so that nothing takes the settlement back."""
ASK_S, START_S = 5.0, 10.0
PATIENCE_S = 60.0
POLL_S = 0.05
TICKS = os.sysconf("SC_CLK_TCK")
TARGETS = {"agent": {"cpu_share": 0.05, "memory_mb": 150.0}, "warden": {"cpu_share": 0.02, "memory_mb": 80.0}}


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """Resources of a process so far: processor seconds, and its resident memory now (MB).

    `loop_s` are the seconds of its first thread, the loop of agent or warden; an agent senses in another thread.
    """

    cpu_s: float
    memory_mb: float
    loop_s: float

    @classmethod
    def of(cls, pid: int) -> "ProcessUse":
        """Read the values from the kernel."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        (resident,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
        loop_s = _spent_s(Path(f"/proc/{pid}/task/{pid}/stat"))
        return cls(_spent_s(Path(f"/proc/{pid}/stat")), int(resident) * 1024 / 1e6, loop_s)


def _spent_s(stat: Path) -> float:
    """Return processor seconds, user and system, from a `stat` file of /proc."""
    fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def layout_of(root: Path) -> Layout:
    """Return the default trial scenario with one want: user-a has the lower channel from START_S on."""
    options = Options(scenario=SCENARIO, seed=SEED, duration_s=LONG_S, recording=None, base_port=None)
    scenario, spec, length_s = scenario_of(options)
    first = next(want for want in spec.wants if want.node == USER)
    want = first.model_copy(update={"ask_s": ASK_S, "start_s": START_S, "end_s": length_s - 60})
    spec = spec.model_copy(update={"wants": [want], "duration_s": length_s})
    ports = free_ports(len(scenario.nodes), None)
    return prepare(root, scenario, spec, seed=SEED, duration_s=length_s, ports=ports)


def _warden_of(agent: int) -> int:
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text(encoding="ascii").split()
    return next(int(pid) for pid in children if b"warden_process" in Path(f"/proc/{pid}/cmdline").read_bytes())


def _open(layout: Layout) -> bool:
    gates = [e["state"] for e in read_events(layout.root / USER) if e["event"] == "gate" and not e["asked"]]
    return bool(gates) and gates[-1] == "OPEN"


def _await_open(layout: Layout, children: list[Child]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not _open(layout):
        ended = [f"{child.name}: {said}" for child in children if (said := child.failed()) is not None]
        if ended or time.monotonic() > deadline_s:
            raise TrialError(f"no gate opened in {PATIENCE_S:g} s: {'; '.join(ended) or 'see the events'}")
        time.sleep(POLL_S)


def measured(pids: dict[str, int], seconds: float) -> dict[str, dict[str, float]]:
    """Measure each process's and its loop's share of a core over `seconds`, and its memory at the end."""
    before, began_s = {part: ProcessUse.of(pid) for part, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    after, spent_s = {part: ProcessUse.of(pid) for part, pid in pids.items()}, time.monotonic() - began_s
    return {
        part: {
            "cpu_share": round((after[part].cpu_s - before[part].cpu_s) / spent_s, 4),
            "memory_mb": round(after[part].memory_mb, 1),
            "loop_share": round((after[part].loop_s - before[part].loop_s) / spent_s, 4),
        }
        for part in pids
    }


def compiler_mb() -> float:
    """Return the resident memory (MB) that numba and LLVM add where sensing's loops are not precompiled."""
    program = (
        "from pathlib import Path\n"
        "def held():\n"
        "    text = Path('/proc/self/status').read_text()\n"
        "    return int(next(line for line in text.splitlines() if line.startswith('VmRSS')).split()[1])\n"
        "import scipy.fft\nimport scipy.special\nbefore = held()\nimport sensing.survey\nprint(held() - before)\n"
    )
    environment = {**os.environ, CHOICE: BY_NUMBA}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    return round(int(done.stdout) * 1024 / 1e6, 1) if done.returncode == 0 else 0.0


def run(*, seconds: float, warm_s: float) -> dict[str, Any]:
    """Measure the node that holds the settlement, and beside it the one that granted it. Raises TrialError."""
    make_ready()
    with work_folder() as work:
        layout = layout_of(Path(work))
        nodes = [spawn(name, NODE, layout.config_of(name), layout.root) for name in (HOLDER, USER)]
        air: list[Child] = []
        try:
            await_ready(layout, nodes)
            air.append(start_air(layout)[0])
            _await_open(layout, [*nodes, *air])
            time.sleep(warm_s)
            pids: dict[str, int] = {}
            for node in nodes:
                agent = node.process.pid
                pids |= {f"{node.name} agent": agent, f"{node.name} warden": _warden_of(agent)}
            found = measured(pids, seconds)
            if not _open(layout):
                raise TrialError("the gate closed while it was measured: nothing to go by")
        finally:
            stop([*nodes, *air])
    parts = {part: found[f"{USER} {part}"] for part in TARGETS}
    met = all(parts[part][name] <= limit for part, limits in TARGETS.items() for name, limit in limits.items())
    granting = {part: found[f"{HOLDER} {part}"] for part in TARGETS}
    return {
        **parts,
        "granting": granting,
        "seconds": seconds,
        "targets": TARGETS,
        "met": met,
        "compiler_mb": compiler_mb(),
        "linked": is_linked(),
    }
