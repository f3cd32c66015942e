"""The map of a report: the nodes' stated positions with errors, ranges, areas, and who settled with whom.

Drawn without map tiles, on a plane tangent to the earth at the nodes' centre: over the tens of kilometres of a trial
its error is less than a line's width.
"""

import math
from typing import Any

from matplotlib.patches import Circle

from agent.report.data import ReportData
from agent.report.spans import live
from agent.report.svg import (
    INK,
    LINE,
    MUTED,
    PAPER,
    SETTLED,
    SETTLED_EDGE,
    Output,
    PictureLayout,
    T_co,
    add_axes,
    drawing,
    inline,
    new_figure,
)
from agent.report.words import clean
from agent.words.units import length_text

EARTH_M = 6_371_008.8
RINGS = 3
LEAST_M = 50.0
SPACE = 1.35
Point = tuple[float, float]


def draw(data: ReportData, layout: PictureLayout) -> str:
    """Return the map as inline SVG."""
    return drawn(data, layout, inline)


def drawn(data: ReportData, layout: PictureLayout, output: Output[T_co]) -> T_co:
    """Return the map in the form that `output` makes of a figure."""
    at, middle = _plane(data)
    reach_m = max(LEAST_M, *(math.hypot(*point) for point in at.values()), *(one.radius_m for one in data.places))
    half_m = SPACE * reach_m
    side_pt = min(layout.plot_pt, 380.0)
    with drawing():
        figure = new_figure(layout, side_pt + 40)
        axes = add_axes(figure, layout, top_pt=10, height_pt=side_pt, part=side_pt / layout.plot_pt)
        _frame(axes, half_m)
        for area in data.areas:
            centre = _metres(area.lat_deg, area.lon_deg, middle)
            axes.add_patch(Circle(centre, area.radius_m, fill=False, edgecolor=SETTLED_EDGE, lw=0.9, linestyle="--"))
        _rings(axes, layout, half_m)
        _links(axes, data, at)
        _nodes(axes, layout, data, at)
        return output(figure, prefix=f"map-{layout.name}")


def _plane(data: ReportData) -> tuple[dict[str, Point], Point]:
    """Return each node in metres east and north of the nodes' centre, and that centre in degrees."""
    lat = sum(one.lat_deg for one in data.places) / len(data.places)
    lon = sum(one.lon_deg for one in data.places) / len(data.places)
    return {one.node: _metres(one.lat_deg, one.lon_deg, (lat, lon)) for one in data.places}, (lat, lon)


def _metres(lat_deg: float, lon_deg: float, middle: Point) -> Point:
    east = math.radians((lon_deg - middle[1] + 180) % 360 - 180) * math.cos(math.radians(middle[0]))
    return EARTH_M * east, EARTH_M * math.radians(lat_deg - middle[0])


def _frame(axes: Any, half_m: float) -> None:
    axes.set_xlim(-half_m, half_m)
    axes.set_ylim(-half_m, half_m)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def _nice(length_m: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not longer."""
    power = 10 ** math.floor(math.log10(length_m))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length_m))


def _rings(axes: Any, layout: PictureLayout, half_m: float) -> None:
    step_m = _nice(half_m / RINGS)
    for number in range(1, RINGS + 1):
        radius = number * step_m
        axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=LINE, lw=0.8))
        axes.text(
            0, radius, length_text(radius * 1000), fontsize=layout.font_pt - 1, color=MUTED, ha="center", va="bottom"
        )
    axes.annotate(
        "N", (0.97, 0.97), xycoords="axes fraction", ha="right", va="top", color=MUTED, fontsize=layout.font_pt
    )


def _links(axes: Any, data: ReportData, at: dict[str, Point]) -> None:
    for holder, user in sorted({(row.holder, row.user) for _, row in live(data)}):
        if holder in at and user in at:
            (x0, y0), (x1, y1) = at[holder], at[user]
            axes.plot((x0, x1), (y0, y1), color=SETTLED_EDGE, lw=1.6, zorder=2)


def _nodes(axes: Any, layout: PictureLayout, data: ReportData, at: dict[str, Point]) -> None:
    for one in data.places:
        x, y = at[one.node]
        disc = Circle((x, y), one.radius_m, facecolor=SETTLED, edgecolor=SETTLED_EDGE, lw=0.8, zorder=3)
        axes.add_patch(disc)
        marker = "s" if one.role == "holder" else "o"
        axes.plot(x, y, marker=marker, markersize=6, color=INK, markeredgecolor=PAPER, zorder=4)
        axes.annotate(
            clean(one.node, limit=24),
            (x, y),
            textcoords="offset points",
            xytext=(7, 5),
            fontsize=layout.font_pt,
            color=INK,
            zorder=5,
        )
