"""Converts collected data to the report's values, all times in seconds from the start signal."""

from typing import Any

import numpy as np

from agent.node.events import WATERFALL
from agent.report.data import (
    AuditRow,
    GateSpan,
    IncumbentMark,
    RefusalRow,
    ReportData,
    SettlementRow,
    ShownEmission,
    WaterfallPicture,
)
from agent.trial.collect import Collected
from agent.trial.judge import Live
from agent.trial.refused import all_refusals


def _waterfall(c: Collected) -> WaterfallPicture | None:
    """Return the first holder's waterfall."""
    layout = c.finished.layout
    holder = layout.scenario.first("holder").name
    path = layout.root / holder / WATERFALL
    if not path.is_file():
        return None
    with np.load(path) as saved:
        level, times_ns, edges = saved["level_db"], saved["times_ns"], saved["edges_hz"]
    if not len(times_ns):
        return None
    return WaterfallPicture(
        node=holder,
        level_db=level,
        times_s=(times_ns - c.finished.zero_ns) / 1e9,
        low_hz=float(edges[0]),
        high_hz=float(edges[1]),
    )


def _settlement(c: Collected, live: Live) -> SettlementRow:
    ended_ns = live.ended_ns if live.ended_ns is not None else live.window.end_ns
    return SettlementRow(
        sid=live.sid.hex(),
        holder=c.name_of(live.holder),
        user=c.name_of(live.user),
        low_hz=live.band.low_hz,
        high_hz=live.band.high_hz,
        start_s=c.seconds(live.window.start_ns),
        end_s=c.seconds(live.window.end_ns),
        confirmed_s=None if live.confirmed_ns is None else c.seconds(live.confirmed_ns),
        ended_s=None if live.confirmed_ns is None else c.seconds(ended_ns),
        outcome=live.outcome or ("window end" if live.confirmed_ns is not None else "not accepted"),
        max_eirp_dbm=live.max_eirp_mdbm / 1000,
        grants=_grants(c, c.name_of(live.user), live.sid.hex()),
    )


def _grants(c: Collected, user: str, sid: str) -> tuple[tuple[float, str], ...]:
    """Return the states of a grant on its user's side, by the user's own events."""
    return tuple(
        ((e["mono_ns"] - c.finished.zero_ns) / 1e9, e["state"])
        for e in c.events.get(user, [])
        if e["event"] == "grant" and e["sid"] == sid and e["role"] == "user"
    )


def _gates(c: Collected, node: str, events: list[dict[str, Any]]) -> list[GateSpan]:
    zero_ns = c.finished.zero_ns
    moves = [e for e in events if e["event"] == "gate" and e["state"] != e["previous"]]
    if not moves:
        return []
    starts = [(m["at_ns"], m["state"], m["reason"]) for m in moves]
    end_ns = zero_ns + int(c.finished.layout.duration_s * 1e9)
    stops = [*starts[1:], (max(end_ns, starts[-1][0]), "", "")]
    return [
        GateSpan(node=node, state=state, reason=reason, from_s=(at - zero_ns) / 1e9, to_s=(until[0] - zero_ns) / 1e9)
        for (at, state, reason), until in zip(starts, stops, strict=True)
    ]


def _incumbents(c: Collected) -> list[IncumbentMark]:
    zero_ns = c.finished.zero_ns
    truly = [
        IncumbentMark(node="air", at_s=e.start_s, low_hz=e.center_hz, high_hz=e.center_hz, what=e.name)
        for e in c.finished.layout.scenario.emitters
        if e.kind == "radar"
    ]
    heard = [
        IncumbentMark(
            node=node,
            at_s=(e["mono_ns"] - zero_ns) / 1e9,
            low_hz=e["low_hz"],
            high_hz=e["high_hz"],
            what=f"heard {e['kind']}",
        )
        for node, events in c.events.items()
        for e in events
        if e["event"] == "incumbent"
    ]
    return truly + heard


def _refusals(c: Collected) -> list[RefusalRow]:
    return [
        RefusalRow(at_s=one.at_s, node=one.node, peer=one.peer, reason=one.reason, detail=one.detail)
        for one in all_refusals(c)
    ]


def report_data(c: Collected, result: dict[str, Any]) -> ReportData:
    """Return all data of the report."""
    layout = c.finished.layout
    return ReportData(
        title="bandpact trial",
        passed=bool(result["passed"]),
        seed=layout.seed,
        duration_s=layout.duration_s,
        low_hz=layout.spec.band_hz[0],
        high_hz=layout.spec.band_hz[1],
        nodes=tuple((n.name, n.role) for n in layout.scenario.nodes),
        summary=result,
        waterfall=_waterfall(c),
        settlements=tuple(_settlement(c, live) for live in c.lives),
        gates=tuple(span for node, events in c.events.items() for span in _gates(c, node, events)),
        emissions=tuple(
            ShownEmission(
                node=j.burst.radio,
                start_s=c.seconds(j.start_ns),
                end_s=c.seconds(j.end_ns),
                low_hz=j.burst.low_hz,
                high_hz=j.burst.high_hz,
                eirp_dbm=j.burst.eirp_dbm,
                inside=j.sid is not None,
                why=j.why,
            )
            for j in c.judged
            if j.burst.kind == "burst" or j.sid is None
        ),
        incumbents=tuple(_incumbents(c)),
        refusals=tuple(_refusals(c)),
        audit=tuple(
            AuditRow(
                node=a.path.stem,
                records=a.records,
                own=a.own,
                received=a.received,
                refused=a.refused.total(),
                root=a.root.hex(),
                problems=tuple(a.findings.problems),
            )
            for a in c.audited
        ),
        audit_problems=tuple(c.crossed.problems),
    )
