"""Kills or stops an agent and a warden of whole nodes while they transmit, repeatedly."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.node.events import read_events
from agent.trial.folder import Layout
from agent.trial.processes import Child, TrialError, spawn, stop
from agent.trial.run import NODE, await_ready, start_air, start_plutos
from sim.airclient import AirClient
from sim.oraclelog import read_log

NS = 1_000_000_000
PATIENCE_S = 40.0
POLL_S = 0.02
USERS = ("user-a", "user-b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """One interruption: signal, process (agent or warden), and how long its radio still had power."""

    victim: str
    signal: str
    took_ns: int


class Nodes:
    """A holder and users with their simulated air."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        names = [n.name for n in layout.scenario.nodes if n.role != "attacker"]
        self._children = {name: spawn(name, NODE, layout.config_of(name), layout.root) for name in names}
        self._air: list[Child] = []
        self._stopped: list[int] = []
        try:
            await_ready(layout, list(self._children.values()))
            self._air.append(start_air(layout)[0])
            self._air += start_plutos(layout)
            self.client = AirClient(layout.air_endpoint)
        except TrialError:
            self.close()
            raise

    def _gate(self, name: str) -> str:
        gates = [e["state"] for e in read_events(self.layout.root / name) if e["event"] == "gate" and not e["asked"]]
        return gates[-1] if gates else ""

    def _warden(self, name: str) -> int:
        agent = self._children[name].process.pid
        tasks = Path(f"/proc/{agent}/task/{agent}/children").read_text(encoding="ascii").split()
        return next(int(pid) for pid in tasks if b"warden_process" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def pull(self, number: signal.Signals, *, agent_of: str, warden_of: str) -> list[Pulled]:
        """Signal one user's agent and the other's warden while both transmit; returns times to RF off by the oracle."""
        _await("both gates open", lambda: all(self._gate(name) == "OPEN" for name in USERS))
        victims = {agent_of: self._children[agent_of].process.pid, warden_of: self._warden(warden_of)}
        at_ns = {}
        for name, pid in victims.items():
            at_ns[name] = time.monotonic_ns()
            os.kill(pid, number)
        if number is signal.SIGSTOP:
            self._stopped += victims.values()
        for name in victims:
            _await(f"{name} silent", lambda name=name: self._silent(name))  # type: ignore[misc]
        self.client.dump()
        ends = {name: [b.end_ns for b in read_log(self.layout.oracle_log) if b.radio == name] for name in victims}
        return [
            Pulled(
                victim="agent" if name == agent_of else "warden",
                signal=number.name,
                took_ns=max(0, max(ends[name]) - at_ns[name]),
            )
            for name in victims
        ]

    def _silent(self, name: str) -> bool:
        return bool(self.client.state()["radios"][name]["rf"] == "off")

    def close(self) -> None:
        """End all processes started here."""
        for pid in self._stopped:
            os.kill(pid, signal.SIGCONT)
        stop(list(self._children.values()))
        if hasattr(self, "client"):
            self.client.close()
        stop(self._air[1:])
        stop(self._air[:1])


def _await(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TrialError(f"waited {PATIENCE_S:g} s for {what} in vain; is this machine overloaded?")
        time.sleep(POLL_S)
