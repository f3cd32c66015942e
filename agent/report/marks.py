"""Marks incumbents' true beginnings in the same way above both pictures."""

from typing import Any

from agent.report.data import IncumbentMark, ReportData
from agent.report.spans import Span, true_starts
from agent.report.svg import INK, RADAR, PictureLayout
from agent.report.words import clean, seconds

APART_PT = 110


def beginnings(axes: Any, layout: PictureLayout, span_s: Span, data: ReportData) -> None:
    """Draw an arrow at each beginning above the axes; names only where there is room."""
    previous = float("-inf")
    for mark in true_starts(data):
        axes.plot(
            mark.at_s, 1.0, marker="v", markersize=6, color=RADAR, transform=axes.get_xaxis_transform(), clip_on=False
        )
        if (mark.at_s - previous) / (span_s[1] - span_s[0]) * layout.plot_pt > APART_PT:
            _name(axes, layout, mark, leftwards=mark.at_s > (span_s[0] + span_s[1]) / 2)
            previous = mark.at_s


def _name(axes: Any, layout: PictureLayout, mark: IncumbentMark, *, leftwards: bool) -> None:
    axes.annotate(
        f"{clean(mark.what, limit=24)} begins {seconds(mark.at_s, places=2)} s",
        (mark.at_s, 1.0),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        xytext=(-7 if leftwards else 7, 3),
        ha="right" if leftwards else "left",
        va="bottom",
        fontsize=layout.font_pt,
        color=INK,
        annotation_clip=False,
    )
