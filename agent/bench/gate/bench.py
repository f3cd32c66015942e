"""`bandpact bench gate`: distributions of the time from each cause to RF off, by the RF oracle."""

import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rich.console import Console

from agent.bench.gate.causes import CAUSES, lost_clock, reboot, with_outages
from agent.bench.gate.plugs import USERS, Nodes
from agent.bench.gate.rig import HOLDER, NS, USER, ClosingRound, Rig
from agent.bench.gate.settler import Settler
from agent.trial.folder import Layout, prepare
from agent.trial.processes import Child, free_ports, stop
from agent.trial.run import Options, scenario_of, start_air, start_plutos, work_folder
from agent.words.spread import spread
from sim.device import BOOT_BANDWIDTH_HZ, BOOT_HZ
from sim.oracle import RadiatedBurst
from sim.oraclelog import read_log

MS = 1e6
AFTER_DECISION_MS, LOST_PROCESS_MS = 5.0, 250.0
STARTS_NS = 4 * NS
LONG_S = 3600.0
Kind: TypeAlias = Literal["sim", "pluto"]


def _layout(root: Path, *, duration_s: float | None, radio: Kind) -> Layout:
    options = Options(scenario="neighbours", seed=7, duration_s=duration_s, recording=None, base_port=None)
    scenario, spec, length_s = scenario_of(options)
    # This measures what closes a gate, not what may be settled: without sensing, nothing can rest on envelopes.
    spec = spec.model_copy(update={"terms": spec.terms.model_copy(update={"envelope_required": False})})
    count = len(scenario.nodes)
    ports = free_ports(2 * count if radio == "pluto" else count, None)
    return prepare(root, scenario, spec, seed=7, duration_s=length_s, ports=ports[:count], pluto_ports=ports[count:])


def closings(rounds: int, talk: Console, *, radio: Kind) -> list[dict[str, Any]]:
    """Measure every cause that leaves both processes alive, `rounds` times each."""
    with work_folder() as work:
        # An hour's scenario, whose radar is far off, so that only the intended cause closes a gate.
        layout = _layout(Path(work), duration_s=LONG_S, radio=radio)
        air, _ = start_air(layout)
        plutos = start_plutos(layout, quiet=False)
        try:
            done = _all_rounds(layout, rounds, talk, plutos)
        finally:
            stop(plutos)
            stop([air])
        log = [one for one in read_log(layout.oracle_log) if one.radio == USER]
    return [_row(cause, found, log) for cause, found in done.items()]


def _all_rounds(layout: Layout, rounds: int, talk: Console, plutos: Sequence[Child]) -> dict[str, list[ClosingRound]]:
    settler = Settler(layout, holder=HOLDER, user=USER)
    done: dict[str, list[ClosingRound]] = defaultdict(list)
    try:
        rig = Rig(layout, layout.config_of(USER), settler)
        try:
            rig.await_warden()
            for cause, bring_about in CAUSES.items():
                talk.print(f"{cause}: {rounds} rounds", highlight=False)
                done[cause] = [bring_about(rig) for _ in range(rounds)]
            for device in plutos:
                talk.print(f"reboot: {rounds} rounds", highlight=False)
                cut = partial(device.process.send_signal, signal.SIGUSR1)
                done["reboot"] = [reboot(rig, cut) for _ in range(rounds)]
        finally:
            rig.stop()
        talk.print(f"clock: {rounds} rounds", highlight=False)
        path, starts = with_outages(layout, rounds, from_ns=time.monotonic_ns() + STARTS_NS)
        rig = Rig(layout, path, settler)
        try:
            rig.await_warden()
            done["clock"] = list(lost_clock(rig, starts))
        finally:
            rig.stop()
    finally:
        settler.close()
    return done


def _row(cause: str, rounds: Sequence[ClosingRound], log: Sequence[RadiatedBurst]) -> dict[str, Any]:
    off = [_off_ns(one, log) for one in rounds]
    after_decision = [max(0.0, (end - r.decided_ns) / MS) for end, r in zip(off, rounds, strict=True)]
    after_cause = [max(0.0, (end - r.cause_ns) / MS) for end, r in zip(off, rounds, strict=True)]
    row = {"cause": cause, "count": len(rounds), "reasons": sorted({r.reason for r in rounds})}
    if cause == "reboot":  # the device itself radiates: no gate decided it
        hot = sum(any(_booted(b) and one.cause_ns <= b.start_ns < one.over_ns for b in log) for one in rounds)
        row |= {"came_up_transmitting": hot, "after_cause_ms": spread(after_cause), "limit_ms": LOST_PROCESS_MS}
        return row | {"met": max(after_cause) <= LOST_PROCESS_MS and hot == len(rounds)}
    found = spread(after_decision)
    return {
        **row,
        "after_decision_ms": found,
        "after_cause_ms": spread(after_cause),
        "limit_ms": AFTER_DECISION_MS,
        "met": within(found, AFTER_DECISION_MS),
    }


def within(found: dict[str, float | int | None], limit_ms: float) -> bool:
    """Return whether a limit is met, by the 99th percentile with enough rounds for one, else by the largest."""
    decisive = found["p99"] if found["p99"] is not None else found["max"]
    return decisive is not None and decisive <= limit_ms


def _booted(burst: RadiatedBurst) -> bool:
    return abs(burst.center_hz - BOOT_HZ) < BOOT_BANDWIDTH_HZ


def _off_ns(one: ClosingRound, log: Sequence[RadiatedBurst]) -> int:
    """Return when the last power of a round ended: samples or the leaking oscillator, whichever was later."""
    return max((b.end_ns for b in log if b.end_ns > one.opened_ns and b.start_ns < one.over_ns), default=0)


def plugs(rounds: int, talk: Console, *, radio: Kind) -> list[dict[str, Any]]:
    """Measure killed and stopped agents and wardens, `rounds` times each."""
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        talk.print(f"agents and wardens, {number.name}: {rounds} rounds", highlight=False)
        for one in range(rounds):
            with work_folder() as work:
                nodes = Nodes(_layout(Path(work), duration_s=None, radio=radio))
                try:
                    agent, warden = USERS if one % 2 == 0 else USERS[::-1]
                    for pulled in nodes.pull(number, agent_of=agent, warden_of=warden):
                        took[pulled.victim, pulled.signal].append(pulled.took_ns / MS)
                finally:
                    nodes.close()
    return [_plug_row(victim, name, values) for (victim, name), values in sorted(took.items())]


def _plug_row(victim: str, name: str, values: Sequence[float]) -> dict[str, Any]:
    found = spread(values)
    return {
        "cause": f"{victim} {name}",
        "count": len(values),
        "after_cause_ms": found,
        "limit_ms": LOST_PROCESS_MS,
        "met": max(values) <= LOST_PROCESS_MS,
    }


def run(*, rounds: int, pulls: int, talk: Console, radio: Kind = "sim") -> dict[str, Any]:
    """Measure everything, on simulated radios or through the Pluto driver; `met`: whether every limit was met."""
    rows = closings(rounds, talk, radio=radio) + (plugs(pulls, talk, radio=radio) if pulls else [])
    return {"radio": radio, "met": _all_met(rows), "causes": rows}


def _all_met(rows: Iterable[dict[str, Any]]) -> bool:
    return all(row["met"] for row in rows)
