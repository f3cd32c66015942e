"""Report of a run with real radios: content of signed records and of the nodes' own events, and what was not measured.

Every number on the page is one of the JSON result; refusals are those that the logs hold, which an audit counts alike,
and beside them those that only the nodes' events tell of: their wardens' and their doors'.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from agent.audit.marketpoints import market_points
from agent.report.data import (
    AreaMark,
    AuditRow,
    GateSpan,
    IncumbentMark,
    PlaceMark,
    RefusalRow,
    ReportData,
    SettlementRow,
    UsageRow,
)
from agent.report.evidence import NodeLog, RunLogs, heard_by
from agent.trial.judge import Live, settlements
from agent.words.spread import spread
from settlement.audit.lease import LogEntry
from settlement.audit.trialmetrics import metrics
from settlement.chain.quantities import HERTZ_MAX
from settlement.chain.records import Record
from settlement.core.fixes import PositionSource
from settlement.records.authority import Credential, Rule
from settlement.records.endings import Usage
from settlement.records.grant import Grant
from settlement.records.market import Declaration
from settlement.records.observation import Gate

NS = 1_000_000_000
LISTED_MAX = 10_000
"""Most refused connections of one mesh that are listed singly; they are counted, not logged one by one."""


def own_records(log: NodeLog) -> Iterator[Record]:
    """Yield the records that the log's owner signed, in order."""
    for entry in log.entries:
        record = entry.record
        if record is not None and record.frame.author in log.audited.line and entry.leaf.admitted:
            yield record


def _admitted(log: NodeLog) -> list[Record]:
    return [one.record for one in log.entries if one.record is not None and one.leaf.admitted]


def lives_of(found: RunLogs) -> dict[bytes, tuple[Live, str]]:
    """Return every settlement with its holder, by the holder's own log where it is here, else by any log."""
    told: dict[bytes, tuple[Live, str]] = {}
    for log in sorted(found.logs, key=lambda one: one.role != "holder"):
        admitted = _admitted(log)
        holders = {record.body.sid: record.frame.author for record in admitted if isinstance(record.body, Grant)}
        for sid, live in settlements(admitted).items():
            holder = holders[sid]
            if sid not in told or holder in log.audited.line:
                told[sid] = (live, found.name_of(holder))
    return told


def span_ns(found: RunLogs) -> tuple[int, int]:
    """Return the span from the first to the last entry of the nodes' own work: UTC ns, whole seconds."""
    at = [
        one.leaf.arrived_earliest_ns
        for log in found.logs
        for one in log.entries
        if one.record is None or not isinstance(one.record.body, Credential | Rule)
    ] or [one.leaf.arrived_earliest_ns for log in found.logs for one in log.entries]
    if not at:
        return 0, NS
    return min(at) // NS * NS, -(-max(at) // NS) * NS + NS


def refusals_of(found: RunLogs, zero_ns: int) -> tuple[list[RefusalRow], dict[str, Counter[str]]]:
    """Return every refusal, and how often each reason occurred: in logs, by wardens, at connections."""
    counts = {"logs": Counter[str](), "wardens": Counter[str](), "doors": Counter[str]()}
    rows: list[RefusalRow] = []
    for log in found.logs:
        at_doors = 0
        for entry in log.entries:
            if not entry.leaf.admitted:
                counts["logs"][entry.leaf.reason or ""] += 1
                rows.append(_logged(found, log, entry, zero_ns))
        for event in log.events:
            at_s = (event["utc_ns"] - zero_ns) / NS if "utc_ns" in event else 0.0
            if event.get("event") == "gate" and event.get("asked"):
                counts["wardens"][str(event.get("reason"))] += 1
                detail = f"[{event.get('clause', '')}] {event.get('measured', '')}"
                rows.append(_row(at_s, log.name, "own agent", str(event.get("reason")), detail))
            elif event.get("event") == "closed":
                denied = _denied(event.get("denied"))
                counts["doors"].update(denied)
                for why, count in denied.items():
                    at_door = _row(at_s, log.name, "a stranger", why, "turned away at the door")
                    listed = min(count, LISTED_MAX - at_doors)
                    rows += [at_door] * listed
                    at_doors += listed
    return sorted(rows, key=lambda one: one.at_s), counts


def _denied(said: object) -> dict[str, int]:
    """Return how many connections were refused, by reason; the input is a node's own note, so unverified."""
    given = said if isinstance(said, dict) else {}
    return {str(why): count for why, count in given.items() if type(count) is int and 0 < count < 1 << 63}


def _logged(found: RunLogs, log: NodeLog, entry: LogEntry, zero_ns: int) -> RefusalRow:
    leaf = entry.leaf
    detail = f"[{leaf.clause}] {leaf.measured}" + (f" (required: {leaf.required})" if leaf.required else "")
    return _row(
        (leaf.arrived_earliest_ns - zero_ns) / NS, log.name, found.name_of(leaf.peer), leaf.reason or "", detail
    )


def _row(at_s: float, node: str, peer: str, reason: str, detail: str) -> RefusalRow:
    return RefusalRow(at_s=at_s, node=node, peer=peer, reason=reason, detail=detail)


def _settlement(live: Live, holder: str, found: RunLogs, span: tuple[int, int]) -> SettlementRow:
    """Return one settlement; one still in force when the logs ended has no end."""
    zero_ns, logs_end_ns = span
    ended_ns = live.ended_ns if live.ended_ns is not None else live.window.end_ns
    still = live.confirmed_ns is not None and ended_ns > logs_end_ns

    def at(utc_ns: int) -> float:
        return (utc_ns - zero_ns) / NS

    return SettlementRow(
        sid=live.sid.hex(),
        holder=holder,
        user=found.name_of(live.user),
        low_hz=live.band.low_hz,
        high_hz=live.band.high_hz,
        start_s=at(live.window.start_ns),
        end_s=at(live.window.end_ns),
        confirmed_s=None if live.confirmed_ns is None else at(live.confirmed_ns),
        ended_s=None if live.confirmed_ns is None or still else at(ended_ns),
        outcome=live.outcome or _ended(live, still=still),
        max_eirp_dbm=live.max_eirp_mdbm / 1000,
        grants=_grants(found, live, zero_ns),
    )


def _ended(live: Live, *, still: bool) -> str:
    if live.confirmed_ns is None:
        return "not accepted"
    return "in force when the logs ended" if still else "window end"


def _grants(found: RunLogs, live: Live, zero_ns: int) -> tuple[tuple[float, str], ...]:
    """Return the states of the grant on its user's side, by the user's own events."""
    user = found.name_of(live.user)
    told = (event for log in found.logs if log.name == user for event in log.events if "utc_ns" in event)
    return tuple(
        ((event["utc_ns"] - zero_ns) / NS, str(event.get("state")))
        for event in told
        if event.get("event") == "grant" and event.get("sid") == live.sid.hex() and event.get("role") == "user"
    )


def gates_of(log: NodeLog, zero_ns: int, end_s: float) -> list[GateSpan]:
    """Return the states of a node's gate, by what it signed of each change."""
    moves = [record.body for record in own_records(log) if isinstance(record.body, Gate)]
    moves = [body for body in moves if body.state != body.previous]
    starts = [((body.at_earliest_ns - zero_ns) / NS, body.state, body.reason) for body in moves]
    stops = [start for start, _, _ in starts[1:]] + [max(end_s, starts[-1][0])] if starts else []
    return [
        GateSpan(node=log.name, state=state, reason=reason, from_s=start, to_s=stop)
        for (start, state, reason), stop in zip(starts, stops, strict=True)
    ]


def _incumbents(log: NodeLog, zero_ns: int) -> Iterator[IncumbentMark]:
    for event in log.events:
        if event.get("event") == "incumbent" and "utc_ns" in event:
            at_s = (event["utc_ns"] - zero_ns) / NS
            edges = [float(str(one)) for one in (event.get("low_hz"), event.get("high_hz")) if _hertz(one)]
            if len(edges) != 2:
                continue  # the node's own note may hold anything
            low_hz, high_hz = edges
            what = f"heard {event.get('kind', '')}"
            yield IncumbentMark(node=log.name, at_s=at_s, low_hz=low_hz, high_hz=high_hz, what=what)


def _hertz(said: Any) -> bool:
    return type(said) in (int, float) and 0 <= said <= HERTZ_MAX


def _usage(log: NodeLog, zero_ns: int) -> Iterator[UsageRow]:
    for record in own_records(log):
        if isinstance(record.body, Usage):
            body, used = record.body, record.body.used
            yield UsageRow(
                sid=body.sid.hex(),
                node=log.name,
                airtime_s=body.airtime_ns / NS,
                bursts=body.bursts,
                first_s=None if used is None else (used.start_ns - zero_ns) / NS,
                last_s=None if used is None else (used.end_ns - zero_ns) / NS,
                ended=body.ended,
            )


def _place(log: NodeLog) -> PlaceMark | None:
    last = next((record for record in reversed(list(own_records(log)))), None)
    if last is None:
        return None
    said = last.frame.attestation
    return PlaceMark(
        node=log.name,
        role=log.role,
        lat_deg=said.lat_e7 / 1e7,
        lon_deg=said.lon_e7 / 1e7,
        radius_m=said.radius_mm / 1000,
        source=PositionSource(said.position_source).name.lower(),
    )


def _areas(found: RunLogs, told: dict[bytes, tuple[Live, str]]) -> Iterator[AreaMark]:
    circles = {
        (f"granted by {holder}", *live.area.circle) for live, holder in told.values() if live.area.outline is None
    }
    for log in found.logs:
        if log.owner is not None and log.owner.scope.area.outline is None:
            circles.add(("entitled area", *log.owner.scope.area.circle))
    for what, (lat_e7, lon_e7), radius_mm in sorted(circles):
        yield AreaMark(what=what, lat_deg=lat_e7 / 1e7, lon_deg=lon_e7 / 1e7, radius_m=radius_mm / 1000)


def summary_of(found: RunLogs, told: dict[bytes, tuple[Live, str]], data: dict[str, Any]) -> dict[str, Any]:
    """Return the result as JSON: the same keys as a trial's, null for what was not measured."""
    by = data["refused_by"]
    total: Counter[str] = sum(by.values(), Counter())
    took = [one.get("took_ms") for log in found.logs for one in log.events if one.get("event") == "settled"]
    figures = metrics({log.name: list(log.entries) for log in found.logs}).as_json()
    wrong = [f"{log.name}: {problem}" for log in found.logs for problem in log.audited.findings.problems]
    return {
        "verified": not wrong and not found.crossed.problems,
        "network": found.network,
        "duration_s": data["duration_s"],
        "from_ns": data["zero_ns"],
        "nodes": len(found.logs),
        "offers": len({r.digest for log in found.logs for r in _admitted(log) if isinstance(r.body, Declaration)}),
        "settled": sum(live.confirmed_ns is not None for live, _ in told.values()),
        "refused": dict(sorted(total.items())),
        "refused_by": {who: dict(sorted(counted.items())) for who, counted in by.items()},
        "emissions": None,
        "reported": _reported(data["usage"]),
        "settlement_ms": spread([float(one) for one in took if isinstance(one, int | float)]),
        "lineage": {
            "records": sum(log.audited.records for log in found.logs),
            "verified": not wrong and not found.crossed.problems,
        },
        "metrics": figures,
        "market": _market(found),
        "problems": [*wrong, *found.crossed.problems],
        "warnings": [f"{log.name}: {warning}" for log in found.logs for warning in log.audited.warnings],
    }


def _market(found: RunLogs) -> dict[str, Any]:
    """Return results of auctions, hand-overs, displacements and disputes, each record once, from any log."""
    records = {record.digest: record for log in found.logs for record in _admitted(log)}
    parties = {one.name: one.chain for one in found.registry.subjects()}
    return market_points(found.name_of, parties, list(records.values()))


def _reported(usage: Sequence[UsageRow]) -> dict[str, Any]:
    """Return airtime by the users' own reports; null where there are none."""
    return {
        "airtime_s": round(sum(one.airtime_s for one in usage), 6) if usage else None,
        "bursts": sum(one.bursts for one in usage) if usage else None,
        "settlements": len(usage),
    }


def report_of(found: RunLogs) -> ReportData:
    """Return all data of the report."""
    told = lives_of(found)
    zero_ns, end_ns = span_ns(found)
    duration_s = (end_ns - zero_ns) / NS
    rows, by = refusals_of(found, zero_ns)
    usage = tuple(one for log in found.logs for one in _usage(log, zero_ns))
    summary = summary_of(found, told, {"refused_by": by, "usage": usage, "duration_s": duration_s, "zero_ns": zero_ns})
    low_hz, high_hz = _band(found, told)
    heard = (heard_by(log, zero_ns) for log in sorted(found.logs, key=lambda one: one.role != "holder"))
    return ReportData(
        title=f"bandpact run of {found.network}",
        passed=bool(summary["verified"]),
        seed=0,
        duration_s=duration_s,
        low_hz=low_hz,
        high_hz=high_hz,
        nodes=tuple((log.name, log.role) for log in found.logs),
        summary=summary,
        waterfall=next((one for one in heard if one is not None), None),
        settlements=tuple(_settlement(live, holder, found, (zero_ns, end_ns)) for live, holder in told.values()),
        gates=tuple(span for log in found.logs for span in gates_of(log, zero_ns, duration_s)),
        emissions=(),
        incumbents=tuple(mark for log in found.logs for mark in _incumbents(log, zero_ns)),
        refusals=tuple(rows),
        audit=tuple(_audit(log) for log in found.logs),
        audit_problems=tuple(found.crossed.problems),
        watched=False,
        zero_ns=zero_ns,
        places=tuple(mark for log in found.logs if (mark := _place(log)) is not None),
        areas=tuple(_areas(found, told)),
        usage=usage,
        warnings=tuple(summary["warnings"]),
    )


def _audit(log: NodeLog) -> AuditRow:
    audited = log.audited
    return AuditRow(
        node=log.name,
        records=audited.records,
        own=audited.own,
        received=audited.received,
        refused=audited.refused.total(),
        root=audited.root.hex(),
        problems=tuple(audited.findings.problems),
    )


def _band(found: RunLogs, told: dict[bytes, tuple[Live, str]]) -> tuple[int, int]:
    """Return the band of the nodes' entitlements, or of their settlements where no owner is known."""
    entitled: Sequence[Any] = [band for log in found.logs if log.owner is not None for band in log.owner.scope.bands]
    bands = [*entitled, *(live.band for live, _ in told.values())]
    if not bands:
        return 0, 1
    return min(band.low_hz for band in bands), max(band.high_hz for band in bands)
