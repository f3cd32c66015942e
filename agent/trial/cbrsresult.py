"""Result of a trial with base stations: time on the air inside and outside the SAS's grants, and stop times."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.trial.basestations import FCC
from agent.trial.judge import Judged
from agent.trial.spec import CbrsPlan
from radio.cbrs.identity import identity
from sim.cbrs.sas import SasAllowed, SimSas

NS = 1_000_000_000


def outside_sas(judged: Iterable[Judged], sas: SimSas, station: str) -> list[Judged]:
    """Return a base station's emissions outside the SAS's grants, each from its answer to its transmitExpireTime.

    Grants that follow each other without a gap count as one.
    """
    said = [one for one in sas.allowed if one.cbsd == f"{FCC}/{station}"]
    return [one for one in judged if one.burst.radio == station and not _covered(one, said)]


def _covered(one: Judged, said: Iterable[SasAllowed]) -> bool:
    reach_ns = one.start_ns
    for word in sorted(said, key=lambda word: word.from_s):
        holds = word.low_hz <= one.burst.low_hz and one.burst.high_hz <= word.high_hz
        if holds and word.from_s * NS <= reach_ns:
            reach_ns = max(reach_ns, round(word.until_s * NS))
    return reach_ns >= one.end_ns and reach_ns > one.start_ns


def stations_shown(plan: CbrsPlan, judged: list[Judged], sas: SimSas) -> dict[str, Any]:
    """Return per base station: seconds on the air, seconds outside the SAS's grants, and the result of its 501."""
    shown: dict[str, Any] = {}
    for one in plan.stations:
        own = [j for j in judged if j.burst.radio == one.name]
        beyond = outside_sas(own, sas, one.name)
        first = _first_suspended(sas, one.name)
        last = max((j.end_ns for j in own), default=None)
        shown[one.name] = {
            "bursts": len(own),
            "outside_sas": len(beyond),
            "outside_sas_s": round(sum(j.end_ns - j.start_ns for j in beyond) / NS, 6),
            "suspended_to_rf_off_ms": None if first is None or last is None else round((last - first) / 1e6, 1),
            "last_rf_utc_ns": last,
        }
    return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class StationAnswer:
    """A heartbeat's answer at the base station: time (s since the Unix epoch), response code, interval (s)."""

    at_s: float
    code: int
    interval_s: float | None


def answers(log: Path) -> list[StationAnswer]:
    """Read the heartbeat answers that a base station of a trial logged."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else ():
        at, _, rest = line.partition(" ")
        method, _, body = rest.partition(" ")
        if method == "heartbeat":
            said = json.loads(body)
            code, interval = said["response"]["responseCode"], said.get("heartbeatInterval")
            found.append(StationAnswer(at_s=float(at), code=code, interval_s=interval))
    return found


def after_preempt(
    plan: CbrsPlan, events: Mapping[str, list[dict[str, Any]]], logs: Path, utc_ns: int
) -> dict[str, Any]:
    """Return per base station with a preempted settlement: the next heartbeat's answer, and its delay.

    The delay counts from when its node received the PREEMPT; `utc_ns` is UTC at second 0 of the monotonic clock.
    `heartbeat_ms` is the heartbeat interval told last.
    """
    shown: dict[str, Any] = {}
    for one in plan.stations:
        heard = next((e["mono_ns"] for e in events.get(one.node, ()) if e["event"] == "displaced"), None)
        if heard is None:
            continue
        at_s, said = (heard + utc_ns) / NS, answers(logs / f"{one.name}.log")
        told = next((a.interval_s for a in reversed(said) if a.at_s <= at_s and a.interval_s is not None), None)
        after = next((a for a in said if a.at_s > at_s), None)
        shown[one.name] = {
            "next_code": None if after is None else after.code,
            "next_ms": None if after is None else round(1000 * (after.at_s - at_s), 1),
            "heartbeat_ms": None if told is None else 1000 * told,
        }
    return shown


def by_ear(plan: CbrsPlan, events: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return per base station, in order: its node's receiver's findings after an end, and when (monotonic ns)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in plan.stations:
        said = (e for e in events.get(one.node, ()) if e["event"] == "base station")
        own = [e for e in said if e["device"] == identity(FCC, one.name)]
        found[one.name] = [{name: e[name] for name in ("verdict", "detail", "mono_ns")} for e in own]
    return found


def _first_suspended(sas: SimSas, station: str) -> int | None:
    return next(
        (
            round(at * NS)
            for at, method, item, answer in sas.seen
            if method == "heartbeat" and item.get("cbsdId") == f"{FCC}/{station}" and isinstance(answer, dict)
            and answer.get("response", {}).get("responseCode") == 501
        ),
        None,
    )  # fmt: skip


def cbrs_problems(shown: dict[str, Any]) -> list[str]:
    """Return the reasons why the trial has failed."""
    wrong = [f"{name} radiated {one['outside_sas_s']} s outside the SAS's word" for name, one in shown.items()
             if one["outside_sas"]]  # fmt: skip
    wrong += [f"{name} never radiated: nothing was shown" for name, one in shown.items() if not one["bursts"]]
    preempted = [(name, one["preempted"]) for name, one in shown.items() if one.get("preempted") is not None]
    return wrong + [f"{name} was answered well after its PREEMPT" for name, one in preempted if one["next_code"] == 0]
