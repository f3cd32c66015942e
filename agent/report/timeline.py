"""The timeline picture: for each node its settlements, its antenna's emissions, and its gate's state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from agent.report.data import GateSpan, ReportData, SettlementRow, ShownEmission
from agent.report.lanes import GATE_PT, ROW_PT, SPACE_PT, Lane, by_row, lanes
from agent.report.marks import beginnings
from agent.report.spans import Span, found_by, lived, merged, true_starts, whole
from agent.report.svg import (
    BAD,
    HATCH,
    INK,
    LINE,
    MUTED,
    ON_OPEN,
    OPEN,
    PAPER,
    RADAR,
    SETTLED,
    SETTLED_EDGE,
    Output,
    PictureLayout,
    T_co,
    add_axes,
    drawing,
    inline,
    new_figure,
    time_axis,
)
from agent.report.words import band, clean, plural, seconds

LABEL_PT = 12.0
VIOLATION_PT = 2.2
EMISSION_PT = 0.7

# Drawing style of each gate state: face, hatch, text colour. Later ones are drawn over earlier ones.
GATE_STYLES = {
    "LOCKED": (PAPER, "/////", INK),
    "ARMED": (PAPER, "", INK),
    "OPEN": (OPEN, "", ON_OPEN),
    "LATCHED": (PAPER, "xxxxx", BAD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The figure that every part is drawn on."""

    axes: Any
    layout: PictureLayout
    span_s: Span

    @property
    def pt_per_s(self) -> float:
        """Scale of the time axis, points per second."""
        return self.layout.plot_pt / (self.span_s[1] - self.span_s[0])

    def clipped(self, span: Span) -> Span | None:
        """Return the part of a span that the axis shows."""
        start, end = max(span[0], self.span_s[0]), min(span[1], self.span_s[1])
        return (start, end) if end >= start else None

    def bars(self, spans: Sequence[Span], *, top_pt: float, height_pt: float, least_pt: float, **style: Any) -> None:
        """Draw all spans as one shape, each at least `least_pt` wide so that it is visible."""
        least_s = least_pt / self.pt_per_s
        boxes: list[Path] = []
        for start, end in spans:
            low, high = (start, end) if end - start >= least_s else _around((start + end) / 2, least_s)
            bottom = top_pt + height_pt
            corners = [(low, top_pt), (high, top_pt), (high, bottom), (low, bottom), (low, top_pt)]
            boxes.append(Path(corners, closed=True))
        if boxes:
            self.axes.add_patch(PathPatch(Path.make_compound_path(*boxes), **style))

    def text(self, at_s: float, at_pt: float, text: str, **style: Any) -> None:
        """Draw text at a time and height."""
        style = {"fontsize": self.layout.font_pt, "color": INK, "va": "center", **style}
        self.axes.text(at_s, at_pt, text, **style)


def _around(middle: float, width: float) -> Span:
    return middle - width / 2, middle + width / 2


def draw(data: ReportData, layout: PictureLayout) -> str:
    """Return the picture as inline SVG."""
    return drawn(data, layout, inline)


def drawn(data: ReportData, layout: PictureLayout, output: Output[T_co]) -> T_co:
    """Return the picture in the form that `output` makes of a figure."""
    placed = lanes(data, layout)
    height = (placed[-1].end_pt if placed else 20.0) + SPACE_PT / 2
    with drawing():
        figure = new_figure(layout, height + 60)
        axes = add_axes(figure, layout, top_pt=20, height_pt=height)
        canvas = Canvas(axes=axes, layout=layout, span_s=whole(data))
        _frame(canvas, placed, height)
        for mark in true_starts(data):
            axes.axvline(mark.at_s, color=RADAR, lw=1.1, linestyle=(0, (4, 2)), zorder=1.5)
        for lane in placed:
            _lane(canvas, data, lane)
        beginnings(axes, layout, canvas.span_s, data)
        return output(figure, prefix=f"timeline-{layout.name}")


def _frame(canvas: Canvas, placed: Sequence[Lane], height: float) -> None:
    axes = canvas.axes
    time_axis(axes, canvas.layout, canvas.span_s)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=LINE, lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for lane in placed[1:]:
        axes.axhline(lane.top_pt - SPACE_PT / 2, color=LINE, lw=0.8, clip_on=False)


def _lane(canvas: Canvas, data: ReportData, lane: Lane) -> None:
    _name(canvas, lane)
    for index, row in enumerate(lane.rows):
        for number, settlement in row:
            _window(canvas, lane.first_pt + index * ROW_PT, number, settlement)
    emitted = [one for one in data.emissions if one.node == lane.node]
    _inside(canvas, lane, [one for one in emitted if one.inside])
    _gate(canvas, lane, [one for one in data.gates if one.node == lane.node])
    _violations(canvas, lane, [one for one in emitted if not one.inside])
    _found(canvas, data, lane)
    if not emitted and not any(lane.rows):
        start = canvas.span_s[0] + 5 / canvas.pt_per_s
        said = "no settlement, no emission" if data.watched else "no settlement"
        canvas.text(start, lane.first_pt + ROW_PT / 2, said, color=MUTED, style="italic")


def _name(canvas: Canvas, lane: Lane) -> None:
    layout = canvas.layout
    room_pt = (layout.left_pt if layout.roomy else layout.plot_pt / 2) - 10
    name, role = (layout.fitted(clean(text), room_pt) for text in (lane.node, lane.role))
    if not layout.roomy:
        canvas.text(canvas.span_s[0], lane.top_pt + 5, name, weight="bold", ha="left")
        if role != name:
            offset = (layout.text_pt(name) * 1.15 + 4) / canvas.pt_per_s
            canvas.text(canvas.span_s[0] + offset, lane.top_pt + 5, role, color=MUTED, ha="left")
        return
    at = canvas.span_s[0] - 8 / canvas.pt_per_s
    canvas.text(at, lane.first_pt + 9, name, weight="bold", ha="right")
    if role != name:
        canvas.text(at, lane.first_pt + 20, role, color=MUTED, ha="right", fontsize=layout.font_pt - 0.5)
    canvas.text(at, lane.gate_pt + GATE_PT / 2, "gate", color=MUTED, ha="right", fontsize=layout.font_pt - 0.5)


def _window(canvas: Canvas, top_pt: float, number: int, row: SettlementRow) -> None:
    was_live, window = lived(row), canvas.clipped((row.start_s, row.end_s))
    if window is None:
        return
    shape: dict[str, Any] = {"height": ROW_PT - 3, "lw": 1.0, "edgecolor": SETTLED_EDGE}
    canvas.axes.add_patch(
        Rectangle((window[0], top_pt), window[1] - window[0], fill=False, linestyle=(0, (2, 2)), **shape)
    )
    shown = None if was_live is None else canvas.clipped(was_live)
    if shown is not None:
        canvas.axes.add_patch(Rectangle((shown[0], top_pt), shown[1] - shown[0], facecolor=SETTLED, **shape))
    solid = shown or window
    room_pt = (solid[1] - solid[0]) * canvas.pt_per_s - 5
    edges = band(row.low_hz, row.high_hz)
    wordings = (f"{number}: {edges} MHz from {clean(row.holder, limit=16)}", f"{number}: {edges}", str(number))
    text = next((t for t in wordings if canvas.layout.text_pt(t) <= room_pt), wordings[-1])
    canvas.text(window[0] + 3 / canvas.pt_per_s, top_pt + LABEL_PT / 2 + 0.5, text, clip_on=True)


def _inside(canvas: Canvas, lane: Lane, emitted: Sequence[ShownEmission]) -> None:
    """Draw each settlement's emissions in its box; those of no settlement across the lane."""
    rows, stray = by_row(lane, emitted)
    for index, here in enumerate(rows):
        top_pt = lane.first_pt + index * ROW_PT + LABEL_PT + 1
        _emissions(canvas, here, top_pt=top_pt, height_pt=ROW_PT - LABEL_PT - 8)
    _emissions(canvas, stray, top_pt=lane.first_pt, height_pt=len(lane.rows) * ROW_PT - 3)


def _emissions(canvas: Canvas, emitted: Sequence[ShownEmission], *, top_pt: float, height_pt: float) -> None:
    joined = merged(((one.start_s, one.end_s) for one in emitted), gap_s=1.0 / canvas.pt_per_s)
    canvas.bars(joined, top_pt=top_pt, height_pt=height_pt, least_pt=EMISSION_PT, facecolor=INK, lw=0, zorder=3)


def _violations(canvas: Canvas, lane: Lane, emitted: Sequence[ShownEmission]) -> None:
    spans = [(one.start_s, one.end_s) for one in emitted]
    canvas.bars(
        merged(spans, gap_s=1.0 / canvas.pt_per_s),
        top_pt=lane.first_pt - 2,
        height_pt=len(lane.rows) * ROW_PT + 3,
        least_pt=VIOLATION_PT,
        facecolor=BAD,
        lw=0,
        zorder=8,
    )
    gap_s = 90 / canvas.pt_per_s
    for start, end in merged(spans, gap_s=gap_s):
        number = sum(start <= one.start_s <= end for one in emitted)
        _cry(canvas, start, lane.first_pt + LABEL_PT / 2 + 0.5, plural(number, "violation"))


def _cry(canvas: Canvas, at_s: float, at_pt: float, text: str) -> None:
    right = at_s > canvas.span_s[0] + 0.75 * (canvas.span_s[1] - canvas.span_s[0])
    canvas.axes.plot(at_s, at_pt - 8, marker="v", markersize=7, color=BAD, zorder=9, clip_on=False)
    canvas.axes.annotate(
        text,
        (at_s, at_pt),
        textcoords="offset points",
        xytext=(-7 if right else 7, 0),
        ha="right" if right else "left",
        va="center",
        fontsize=canvas.layout.font_pt,
        weight="bold",
        color=PAPER,
        zorder=9,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": BAD, "edgecolor": "none"},
    )


def _gate(canvas: Canvas, lane: Lane, spans: Sequence[GateSpan]) -> None:
    known = (*GATE_STYLES, *sorted({one.state for one in spans} - set(GATE_STYLES)))
    for order, state in enumerate(known):
        face, hatch, _ = GATE_STYLES.get(state, (PAPER, "....", INK))
        stood = [one for one in spans if one.state == state]
        clipped = [part for one in stood if (part := canvas.clipped((one.from_s, one.to_s))) is not None]
        canvas.bars(
            merged(clipped, gap_s=1.0 / canvas.pt_per_s),
            top_pt=lane.gate_pt,
            height_pt=GATE_PT,
            least_pt=EMISSION_PT,
            facecolor=face,
            edgecolor=HATCH if hatch else MUTED,
            hatch=hatch or None,
            lw=0.5,
            zorder=2 + order / 10,
        )
    for one in spans:
        _gate_label(canvas, lane, one)


def _gate_label(canvas: Canvas, lane: Lane, one: GateSpan) -> None:
    shown = canvas.clipped((one.from_s, one.to_s))
    if shown is None:
        return
    room_pt = (shown[1] - shown[0]) * canvas.pt_per_s - 6
    state, reason = clean(one.state, limit=20), clean(one.reason, limit=40)
    wordings = (f"{state}: {reason}" if reason not in ("", state) else state, state)
    text = next((t for t in wordings if canvas.layout.text_pt(t) <= room_pt), None)
    if text is None:
        return
    face, hatch, ink = GATE_STYLES.get(one.state, (PAPER, "....", INK))
    plate = {"boxstyle": "square,pad=0.15", "facecolor": face, "edgecolor": "none"} if hatch else None
    canvas.text(
        sum(shown) / 2,
        lane.gate_pt + GATE_PT / 2 + 0.3,
        text,
        ha="center",
        color=ink,
        bbox=plate,
        fontsize=canvas.layout.font_pt - 1,
        zorder=4,
    )


def _found(canvas: Canvas, data: ReportData, lane: Lane) -> None:
    at_pt = lane.first_pt + len(lane.rows) * ROW_PT - 6
    previous = float("-inf")
    for index, mark in enumerate(found_by(data, lane.node)):
        if (mark.at_s - previous) * canvas.pt_per_s < 3:
            continue
        previous = mark.at_s
        canvas.axes.plot(
            mark.at_s, at_pt, marker="D", markersize=5.5, color=RADAR, markeredgecolor=PAPER, zorder=7, clip_on=False
        )
        if index == 0:
            _found_label(canvas, mark.at_s, at_pt)


def _found_label(canvas: Canvas, at_s: float, at_pt: float) -> None:
    right = at_s > canvas.span_s[0] + 0.8 * (canvas.span_s[1] - canvas.span_s[0])
    canvas.axes.annotate(
        f"found {seconds(at_s, places=2)}",
        (at_s, at_pt),
        textcoords="offset points",
        xytext=(-6 if right else 6, 0),
        ha="right" if right else "left",
        va="center",
        fontsize=canvas.layout.font_pt - 0.5,
        color=INK,
        zorder=7,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.9},
    )
