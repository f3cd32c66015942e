"""The waterfall picture: a node's received power over time, with settlements and incumbents outlined."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from agent.report.data import IncumbentMark, ReportData, SettlementRow, WaterfallPicture
from agent.report.marks import beginnings
from agent.report.spans import Span, found_by, live, lived, true_starts, whole
from agent.report.svg import (
    HATCH,
    INK,
    LINE,
    MUTED,
    Output,
    PictureLayout,
    T_co,
    add_axes,
    drawing,
    inline,
    new_figure,
    time_axis,
)
from agent.report.words import clean, megahertz, seconds

COLUMNS_MAX = 960
BINS_MAX = 384
MARGIN = 0.1
GAP_STEPS = 2.5
RANGE_DB_MAX = 80.0
UNIT = "dBFS/Hz (relative, uncalibrated)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Levels on an even grid: `level_db` shape (frequencies, times), NaN where nothing was sensed."""

    level_db: NDArray[np.float64]
    span_s: Span
    low_hz: float
    high_hz: float
    scale_db: Span


def row_spans(times_s: NDArray[np.float64]) -> list[Span]:
    """Return the span each row stands for: to the next row, but not across a gap of more than 2.5 usual steps."""
    if len(times_s) < 2:
        return [(float(t), float(t)) for t in times_s]
    steps = np.diff(times_s)
    usual = float(np.median(steps))
    lengths = np.append(np.where(steps > GAP_STEPS * usual, usual, steps), usual)
    return [(float(t), float(t + length)) for t, length in zip(times_s, lengths, strict=True)]


def sensed(waterfall: WaterfallPicture | None) -> WaterfallPicture | None:
    """Return the waterfall if it holds at least one level, else None."""
    if waterfall is None or waterfall.level_db.ndim != 2 or not np.isfinite(waterfall.level_db).any():
        return None
    return waterfall


def grid(waterfall: WaterfallPicture, *, span_s: Span, low_hz: float, high_hz: float) -> Grid:
    """Resample rows to an even time axis, the strongest level per cell, over the band and a tenth beyond it."""
    level = np.where(np.isfinite(waterfall.level_db), waterfall.level_db, np.nan).astype(np.float64)
    edges = np.linspace(waterfall.low_hz, waterfall.high_hz, level.shape[1] + 1)
    beyond = MARGIN * (high_hz - low_hz)
    wanted = (edges[1:] > low_hz - beyond) & (edges[:-1] < high_hz + beyond)
    first, stop = (int(wanted.argmax()), len(wanted) - int(wanted[::-1].argmax())) if wanted.any() else (0, len(wanted))
    thinned = -(-(stop - first) // BINS_MAX)
    parts = np.arange(first, stop, thinned)
    strongest = np.fmax.reduceat(level[:, :stop], parts, axis=1)
    cells = _columns(strongest, row_spans(waterfall.times_s), span_s)
    return Grid(
        level_db=cells.T,
        span_s=span_s,
        low_hz=float(edges[first]),
        high_hz=float(edges[stop]),
        scale_db=_scale(strongest),
    )


def _columns(rows: NDArray[np.float64], spans: list[Span], span_s: Span) -> NDArray[np.float64]:
    low, high = span_s
    cells = np.full((COLUMNS_MAX, rows.shape[1]), np.nan)
    per_s = COLUMNS_MAX / (high - low)
    for row, (start, end) in zip(rows, spans, strict=True):
        first = max(0, int((start - low) * per_s))
        stop = min(COLUMNS_MAX, max(first + 1, round((end - low) * per_s)))
        if first < stop:
            cells[first:stop] = np.fmax(cells[first:stop], row)
    return cells


def _scale(level_db: NDArray[np.float64]) -> Span:
    """Return the ends of the colour scale: nearly all levels, in whole 5 dB, at most 80 dB apart."""
    bottom, top = np.nanpercentile(level_db, [2.0, 99.95])
    high = 5.0 * float(np.ceil(top / 5))
    low = max(5.0 * float(np.floor(bottom / 5)), high - RANGE_DB_MAX)
    return (low, high) if high > low else (high - 5.0, high)


def draw(data: ReportData, waterfall: WaterfallPicture, layout: PictureLayout) -> str:
    """Return the picture as inline SVG."""
    return drawn(data, waterfall, layout, inline)


def drawn(data: ReportData, waterfall: WaterfallPicture, layout: PictureLayout, output: Output[T_co]) -> T_co:
    """Return the picture in the form that `output` makes of a figure."""
    with drawing():
        plot_pt = 210.0 if layout.roomy else 190.0
        figure = new_figure(layout, plot_pt + 100)
        axes = add_axes(figure, layout, top_pt=20, height_pt=plot_pt)
        cells = grid(waterfall, span_s=whole(data), low_hz=data.low_hz, high_hz=data.high_hz)
        _levels(axes, cells)
        for number, row in live(data):
            _settlement(axes, layout, cells, number, row)
        _incumbents(axes, layout, cells, data, waterfall.node)
        _axis(axes, layout, cells, data)
        _scale_bar(add_axes(figure, layout, top_pt=plot_pt + 64, height_pt=9, part=0.6), layout, cells.scale_db)
        return output(figure, prefix=f"waterfall-{layout.name}")


def _levels(axes: Any, cells: Grid) -> None:
    low_mhz, high_mhz = cells.low_hz / 1e6, cells.high_hz / 1e6
    start, end = cells.span_s
    axes.add_patch(
        Rectangle(
            (start, low_mhz),
            end - start,
            high_mhz - low_mhz,
            facecolor="none",
            edgecolor=HATCH,
            hatch="///",
            lw=0,
            zorder=-1,
        )
    )
    low_db, high_db = cells.scale_db
    axes.imshow(
        np.ma.masked_invalid(cells.level_db),
        extent=(start, end, low_mhz, high_mhz),
        origin="lower",
        aspect="auto",
        interpolation="none",
        cmap="cividis",
        vmin=low_db,
        vmax=high_db,
    )


def _tag(axes: Any, layout: PictureLayout, x: float, y: float, text: str, **where: Any) -> None:
    """Draw white text on a dark plate, legible on every level."""
    axes.annotate(
        text,
        (x, y),
        textcoords="offset points",
        xytext=where.pop("offset", (0, 0)),
        color="#ffffff",
        fontsize=layout.font_pt,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "#10151a", "edgecolor": "none", "alpha": 0.86},
        annotation_clip=True,
        **where,
    )


def _outline(axes: Any, span_s: Span, row: SettlementRow, **style: Any) -> None:
    corner, height = (span_s[0], row.low_hz / 1e6), (row.high_hz - row.low_hz) / 1e6
    for colour, width in (("#10151a", 3.2), ("#ffffff", 1.5)):
        axes.add_patch(
            Rectangle(corner, span_s[1] - span_s[0], height, fill=False, edgecolor=colour, lw=width, **style)
        )


def _settlement(axes: Any, layout: PictureLayout, cells: Grid, number: int, row: SettlementRow) -> None:
    was_live = lived(row)
    live_end = row.start_s if was_live is None else was_live[1]
    if row.end_s > live_end:
        _outline(axes, (live_end, row.end_s), row, linestyle=(0, (2, 2)))
    if was_live is not None:
        _outline(axes, was_live, row)
    start, end = max(row.start_s, cells.span_s[0]), min(live_end if was_live else row.end_s, cells.span_s[1])
    room_pt = (end - start) / (cells.span_s[1] - cells.span_s[0]) * layout.plot_pt - 10
    name = f"{number} {clean(row.user, limit=24)}"
    text = name if layout.text_pt(name) <= room_pt else str(number)
    _tag(axes, layout, start, row.high_hz / 1e6, text, offset=(5, -5), ha="left", va="top")


def _incumbents(axes: Any, layout: PictureLayout, cells: Grid, data: ReportData, node: str) -> None:
    span_s = cells.span_s[1] - cells.span_s[0]
    for mark in true_starts(data):
        _true_start(axes, mark)
    beginnings(axes, layout, cells.span_s, data)
    for index, mark in enumerate(found_by(data, node)):
        middle = (mark.low_hz + mark.high_hz) / 2e6
        axes.plot(
            mark.at_s, middle, marker="D", markersize=6, color="#ffffff", markeredgecolor="#10151a", markeredgewidth=1.2
        )
        if index == 0:
            late = mark.at_s > cells.span_s[0] + 0.85 * span_s
            text = f"found {seconds(mark.at_s, places=2)} s"
            _tag(axes, layout, mark.at_s, middle, text, offset=(0, -10), ha="right" if late else "center", va="top")


def _true_start(axes: Any, mark: IncumbentMark) -> None:
    edges = [mark.low_hz / 1e6, mark.high_hz / 1e6]
    for colour, width in (("#10151a", 4.0), ("#ffffff", 2.0)):
        axes.plot([mark.at_s, mark.at_s], edges, color=colour, lw=width, solid_capstyle="butt")
    axes.axvline(mark.at_s, color="#ffffff", lw=0.8, linestyle=(0, (1, 3)))


def _axis(axes: Any, layout: PictureLayout, cells: Grid, data: ReportData) -> None:
    time_axis(axes, layout, cells.span_s)
    axes.set_ylim(cells.low_hz / 1e6, cells.high_hz / 1e6)
    inner = {edge for _, row in live(data) for edge in (row.low_hz, row.high_hz)}
    ticks = sorted(edge for edge in {data.low_hz, data.high_hz} | inner if cells.low_hz <= edge <= cells.high_hz)
    kept: list[int] = []
    for tick in ticks:
        if not kept or tick - kept[-1] > 0.06 * (cells.high_hz - cells.low_hz):
            kept.append(tick)
    axes.set_yticks([tick / 1e6 for tick in kept], [megahertz(tick) for tick in kept])
    for tick in kept:
        axes.axhline(tick / 1e6, color="#ffffff", lw=0.5, alpha=0.35)
    if layout.roomy:
        axes.set_ylabel("MHz", fontsize=layout.font_pt)
    else:
        axes.text(-0.02, 1.03, "MHz", transform=axes.transAxes, ha="right", va="bottom", fontsize=layout.font_pt)


def _scale_bar(axes: Any, layout: PictureLayout, scale_db: Span) -> None:
    axes.imshow(
        np.linspace(*scale_db, 256)[np.newaxis],
        extent=(*scale_db, 0, 1),
        aspect="auto",
        interpolation="none",
        cmap="cividis",
    )
    axes.set_yticks([])
    axes.set_xlabel(UNIT, fontsize=layout.font_pt, color=INK)
    for spine in axes.spines.values():
        spine.set_edgecolor(LINE)
    axes.tick_params(axis="x", color=MUTED)
