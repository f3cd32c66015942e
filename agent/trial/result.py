"""The trial's result as JSON: counts and figures, each from signed records, gate events or the oracle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.trial.cbrsresult import after_preempt, by_ear, cbrs_problems, stations_shown
from agent.trial.collect import Collected
from agent.trial.judge import seconds
from agent.trial.missedpoints import points_missed
from agent.trial.points import points
from agent.trial.programs import faults, unshown
from agent.trial.refused import blocked, counted
from agent.words.spread import spread
from settlement.audit.trialmetrics import metrics
from settlement.chain.bodies import Declaration
from sim.oracle import RadiatedBurst

MS = 1e6
TONE_WITHIN_HZ = 100_000


def close_latencies(c: Collected) -> list[float]:
    """Return for each closing of a gate the time in ms from cause to the oracle's last power; 0 if silent before."""
    latencies: list[float] = []
    for node, events in c.events.items():
        own = sorted((j.burst.start_ns, j.burst.end_ns) for j in c.judged if j.burst.radio == node)
        gates = [e for e in events if e["event"] == "gate"]
        for number, event in enumerate(gates):
            if event["previous"] != "OPEN" or event["state"] == "OPEN":
                continue
            opened = next((e["at_ns"] for e in gates[number + 1 :] if e["state"] == "OPEN"), 2**63)
            ends = [end for start, end in own if start < opened]
            latencies.append(max(0.0, (max(ends, default=0) - event["cause_ns"]) / MS))
    return latencies


def incumbent(c: Collected) -> dict[str, Any]:
    """Return when the first radar began, when it was first heard, and when the affected channel was silent."""
    zero_ns = c.finished.zero_ns
    length_s = c.finished.layout.duration_s
    radars = [e for e in c.finished.layout.scenario.emitters if e.kind == "radar" and e.start_s < length_s]
    if not radars:
        nothing = {"detected": False, "latency_ms": None, "rf_off_ms": None, "false_alarms": len(_heard(c))}
        return {"present": False, **nothing}
    began_ns = min(zero_ns + int(r.start_s * 1e9) for r in radars)
    heard = _heard(c)
    after = [e["mono_ns"] for e in heard if e["mono_ns"] >= began_ns]
    false_alarms = len(heard) - len(after)
    first_ns = min(after, default=None)
    resumed_ns = min((e["mono_ns"] for e in _told(c, "resumed") if e["mono_ns"] > began_ns), default=None)
    # A gate whose window ended was not closed by an unheard radar; and what a settlement that was suspended
    # for the radar transmits after its RESUME is no violation.
    silenced = [
        j.burst.end_ns
        for j in c.judged
        if first_ns is not None
        and j.burst.end_ns > began_ns
        and (resumed_ns is None or j.burst.start_ns < resumed_ns)
        and any(j.burst.low_hz < r.center_hz < j.burst.high_hz for r in radars)
    ]
    return {
        "present": True,
        "detected": first_ns is not None,
        "latency_ms": None if first_ns is None else round((first_ns - began_ns) / MS, 1),
        "rf_off_ms": round((max(silenced) - began_ns) / MS, 1) if silenced else None,
        "false_alarms": false_alarms,
    }


def _heard(c: Collected) -> list[dict[str, Any]]:
    return _told(c, "incumbent")


def _told(c: Collected, name: str) -> list[dict[str, Any]]:
    return [e for events in c.events.values() for e in events if e["event"] == name]


def programs(c: Collected) -> list[dict[str, Any]]:
    """Return each program's sample counts, and the oracle's seconds of its tone inside and outside settlements."""
    found: list[dict[str, Any]] = []
    for one in c.finished.programs:
        own = [j for j in c.judged if j.burst.radio == one["node"] and j.burst.kind == "burst"]
        tone = [j for j in own if abs(_middle(j.burst) - j.burst.center_hz - one["tone_hz"]) < TONE_WITHIN_HZ]
        inside, outside = [j for j in tone if j.sid is not None], [j for j in tone if j.sid is None]
        figures = {"inside_s": round(seconds(inside), 6), "outside_s": round(seconds(outside), 6)}
        span = (max(j.end_ns for j in inside) - min(j.start_ns for j in inside)) / 1e9 if inside else 0.0
        found.append({**one, "tone": {**figures, "bursts": len(tone), "span_s": round(span, 3)}})
    return found


def _middle(burst: RadiatedBurst) -> float:
    return (burst.low_hz + burst.high_hz) / 2


def problems(c: Collected) -> list[str]:
    """Return everything that makes the trial fail, in words."""
    found = [f"{j.burst.radio} radiated {j.why} at {c.seconds(j.start_ns):.3f} s" for j in c.judged if j.sid is None]
    for audited in c.audited:
        found += [f"{audited.path.name}: {p}" for p in audited.findings.problems]
    found += c.crossed.problems
    found += faults(c.finished.programs)
    below = _below(c)
    found += [] if below is None else cbrs_problems(below)
    found += [f"{name} did not end when asked and was killed" for name in c.finished.killed]
    return found


def warnings(settled: int, inside_s: float, heard: Mapping[str, Any] | None = None) -> list[str]:
    """Return what a trial without violations still failed to show."""
    unheard = ["a radar was on the air and nobody heard it, so nothing fell silent for it: protection is not shown"]
    missed = unheard if heard is not None and heard["present"] and not heard["detected"] else []
    if settled == 0:
        nobody = "nobody settled, so the gates had nothing to open for; is this machine overloaded, or the trial short?"
        return [nobody, *missed]
    if inside_s <= 0:
        return ["nobody transmitted inside what was settled; is this machine overloaded?", *missed]
    return missed


def _below(c: Collected) -> dict[str, Any] | None:
    """Return the results of base stations; None without any."""
    layout = c.finished.layout
    if layout.cbrs is None or layout.spec.cbrs is None:
        return None
    shown = stations_shown(layout.spec.cbrs, list(c.judged), layout.cbrs.sas)
    heard = by_ear(layout.spec.cbrs, c.events)
    preempted = after_preempt(layout.spec.cbrs, c.events, layout.root, layout.utc_at_zero_ns)
    return {name: {**one, "by_ear": heard[name], "preempted": preempted.get(name)} for name, one in shown.items()}


def summary(c: Collected, report: Path) -> dict[str, Any]:
    """Return the trial's JSON. Its keys are a contract: keys are added, never renamed."""
    layout = c.finished.layout
    outside = [j for j in c.judged if j.sid is None]
    took = [e["took_ms"] for events in c.events.values() for e in events if e["event"] == "settled" and "took_ms" in e]
    wrong = problems(c)
    timed = spread(took)
    settled = sum(1 for live in c.lives if live.confirmed_ns is not None)
    heard, shown = incumbent(c), points(c)
    inside_s = round(seconds(j for j in c.judged if j.sid is not None), 6)
    below = _below(c)
    return {
        "passed": not wrong,
        **({} if below is None else {"cbrs": below}),
        "seed": layout.seed,
        "duration_s": layout.duration_s,
        "nodes": len(layout.nodes),
        "offers": _count(c, Declaration),
        "settled": settled,
        "refused": dict(sorted(counted(c).items())),
        "emissions": {
            "inside_s": inside_s,
            "outside_s": round(seconds(outside), 6),
            "violations": len(outside),
            "bursts": sum(1 for j in c.judged if j.burst.kind == "burst"),
        },
        "gate": {"close_latency_ms": spread(close_latencies(c)), "closings": len(close_latencies(c))},
        "settlement_ms": timed,
        "lineage": {
            "records": sum(a.records for a in c.audited),
            "verified": all(a.ok for a in c.audited) and not c.crossed.problems,
        },
        "incumbent": heard,
        "scenario": shown,
        "metrics": {**metrics(c.entries).as_json(), **blocked(c)},
        "programs": programs(c),
        "cpu": c.finished.cpu,
        "problems": wrong,
        "warnings": [
            *warnings(settled, inside_s, heard),
            *unshown(c.finished.programs),
            *points_missed(layout.spec, shown),
        ],
        "report": str(report),
    }


def _count(c: Collected, body: type[Any]) -> int:
    subjects = {r.digest for records in c.records.values() for r in records if isinstance(r.body, body)}
    return len(subjects)
