"""Tables with the content of the pictures, for readers who cannot see them, and for exact values."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agent.report.data import ReportData, WaterfallPicture
from agent.report.spans import AIR, found_by, lived, merged, nodes, numbered, total_s, whole
from agent.report.tables import HtmlTable, TableCell, cells, table
from agent.report.waterfall import row_spans
from agent.report.words import DASH, band, count, plural, seconds

SLICES = 10
BANDS_MAX = 8


def timeline_nodes(data: ReportData) -> HtmlTable:
    """Return the timeline's lanes as numbers."""
    rows = []
    for node, _ in nodes(data):
        mine = [one for one in data.emissions if one.node == node]
        outside = [one for one in mine if not one.inside]
        was_live = merged(span for _, row in numbered(data) if row.user == node and (span := lived(row)))
        rows.append(
            cells(
                node,
                seconds(total_s(was_live)),
                count(len(mine)),
                seconds(total_s((one.start_s, one.end_s) for one in mine if one.inside)),
                TableCell(text=plural(len(outside), "violation"), tone="bad") if outside else "none",
                ", ".join(seconds(mark.at_s, places=2) for mark in found_by(data, node)[:3]) or DASH,
            )
        )
    return table(
        name="timeline-nodes",
        caption="Each node's lane as numbers",
        heads=(
            "Node",
            "In a live settlement, s",
            "Emissions",
            "Emitted inside, s",
            "Outside",
            "Found an incumbent at, s",
        ),
        rows=rows,
        right=(1, 2, 3),
        empty="No node took part.",
    )


def timeline_gates(data: ReportData) -> HtmlTable:
    """Return how long each gate was in each state, and why."""
    spent: dict[tuple[str, str, str], list[float]] = {}
    for one in data.gates:
        spent.setdefault((one.node, one.state, one.reason), []).append(one.to_s - one.from_s)
    return table(
        name="timeline-gates",
        caption="How long each gate stood in each state, and why",
        heads=("Node", "State", "Reason", "Times", "Together, s"),
        rows=(
            cells(node, state, reason or DASH, count(len(lengths)), seconds(sum(lengths)))
            for (node, state, reason), lengths in spent.items()
        ),
        right=(3, 4),
        empty="No state of a gate was recorded.",
    )


def incumbents(data: ReportData) -> HtmlTable:
    """Return when incumbents began, and which nodes found them when."""
    return table(
        name="timeline-incumbents",
        caption="Incumbents: when they began on the air, and who found them when",
        heads=("At, s", "Who", "MHz", "What"),
        rows=(
            cells(
                seconds(mark.at_s),
                "truly began" if mark.node == AIR else f"found by {mark.node}",
                band(mark.low_hz, mark.high_hz),
                mark.what,
            )
            for mark in sorted(data.incumbents, key=lambda mark: mark.at_s)
        ),
        right=(0,),
        empty="No incumbent came on the air, and none was reported.",
    )


def waterfall_levels(data: ReportData, waterfall: WaterfallPicture) -> HtmlTable:
    """Return the waterfall as numbers: strongest and median level by sub-band and tenth of the trial."""
    edges = _edges(data)
    low_s, high_s = whole(data)
    bounds = np.linspace(low_s, high_s, SLICES + 1)
    middles = np.array([(start + end) / 2 for start, end in row_spans(waterfall.times_s)])
    rows = []
    for start, end in pairwise(bounds):
        chosen = (middles >= start) & (middles < end)
        levels = [_level(waterfall, chosen, *pair) for pair in pairwise(edges)]
        rows.append(cells(f"{start:.1f}{DASH}{end:.1f}", *levels))
    return table(
        name="waterfall-levels",
        caption="Strongest and median level, dBFS/Hz (relative, uncalibrated)",
        heads=("Time, s", *(f"{band(*pair)} MHz" for pair in pairwise(edges))),
        rows=rows,
        right=range(1, len(edges)),
        empty="Nothing was recorded.",
    )


def _edges(data: ReportData) -> list[float]:
    inner = {edge for row in data.settlements for edge in (row.low_hz, row.high_hz)}
    edges = sorted({data.low_hz, data.high_hz} | {e for e in inner if data.low_hz < e < data.high_hz})
    if 2 <= len(edges) <= BANDS_MAX + 1:
        return [float(edge) for edge in edges]
    return [float(edge) for edge in np.linspace(data.low_hz, data.high_hz, 5)]


def _level(waterfall: WaterfallPicture, chosen: NDArray[np.bool_], low_hz: float, high_hz: float) -> str:
    centres = np.linspace(waterfall.low_hz, waterfall.high_hz, 2 * waterfall.level_db.shape[1] + 1)[1::2]
    part = waterfall.level_db[chosen][:, (centres >= low_hz) & (centres < high_hz)]
    heard = part[np.isfinite(part)]
    if not heard.size:
        return "not sensed"
    return f"{heard.max():.0f} / {np.median(heard):.0f}"
