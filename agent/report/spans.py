"""Time spans for pictures and tables, and the queries that both make."""

import math
from collections.abc import Iterable

from agent.report.data import IncumbentMark, ReportData, SettlementRow, ShownEmission

AIR = "air"
Span = tuple[float, float]


def merged(spans: Iterable[Span], *, gap_s: float = 0.0) -> list[Span]:
    """Join spans that overlap or follow within `gap_s`; returns them by start."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start - out[-1][1] <= gap_s:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, max(start, end)))
    return out


def total_s(spans: Iterable[Span]) -> float:
    """Return the length of the union of spans."""
    return sum(end - start for start, end in merged(spans))


def whole(data: ReportData) -> Span:
    """Return the time axis of every picture: the trial, and any emission before or after it."""
    edges = [0.0, data.duration_s, *(e.start_s for e in data.emissions), *(e.end_s for e in data.emissions)]
    finite = [edge for edge in edges if math.isfinite(edge)]
    low, high = min(finite), max(finite)
    return low, high if high > low else low + 1.0


def lived(row: SettlementRow) -> Span | None:
    """Return when a settlement was live: confirmed, inside its window, not ended; None if never."""
    if row.confirmed_s is None:
        return None
    start = max(row.start_s, row.confirmed_s)
    end = row.end_s if row.ended_s is None else min(row.end_s, row.ended_s)
    return (start, end) if end > start else None


def numbered(data: ReportData) -> tuple[tuple[int, SettlementRow], ...]:
    """Return the settlements with their numbers in pictures and tables, from 1."""
    return tuple(enumerate(data.settlements, start=1))


def live(data: ReportData) -> tuple[tuple[int, SettlementRow], ...]:
    """Return the numbered settlements that were confirmed."""
    return tuple((number, row) for number, row in numbered(data) if row.confirmed_s is not None)


def nodes(data: ReportData) -> tuple[tuple[str, str], ...]:
    """Return every node with its role: the named ones, then any other that emitted, settled, or had a gate."""
    known = dict(data.nodes)
    others = [e.node for e in data.emissions] + [g.node for g in data.gates] + [r.user for _, r in live(data)]
    for name in others:
        known.setdefault(name, "unlisted")
    return tuple(known.items())


def true_starts(data: ReportData) -> tuple[IncumbentMark, ...]:
    """Return when incumbents truly began, by time."""
    return tuple(sorted((m for m in data.incumbents if m.node == AIR), key=lambda m: m.at_s))


def found_by(data: ReportData, node: str) -> tuple[IncumbentMark, ...]:
    """Return when a node found incumbents, by time."""
    return tuple(sorted((m for m in data.incumbents if m.node == node), key=lambda m: m.at_s))


def covers(row: SettlementRow, emission: ShownEmission) -> bool:
    """Return whether an emission lies in a settlement's window and touches its band, so that it is drawn there."""
    in_time = emission.start_s < row.end_s and row.start_s < emission.end_s
    return in_time and row.user == emission.node and emission.low_hz < row.high_hz and row.low_hz < emission.high_hz
