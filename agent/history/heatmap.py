"""Picture of a day: channel occupancy in each quarter of an hour; time that was not sensed is hatched."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import DateFormatter, HourLocator, date2num

from agent.history.rows import Row
from agent.words.figures import Figure

HOUR_NS = 3600 * 10**9


def day_grid(
    rows: Sequence[Row], from_ns: int, to_ns: int, step_ns: int
) -> tuple[list[tuple[int, int]], np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the channels in ascending order; per channel and step, occupancy and interval width; NaN: not sensed."""
    channels = sorted({(one.low_hz, one.high_hz) for row in rows for one in row.channels})
    steps = max(1, -(-(to_ns - from_ns) // step_ns))
    value, width = (np.full((len(channels), steps), np.nan) for _ in range(2))
    for row in rows:
        at = (row.start_ns - from_ns) // step_ns
        for one in row.channels:
            full = one.occupancy
            if full is not None and 0 <= at < steps:
                where = channels.index((one.low_hz, one.high_hz)), at
                value[where], width[where] = full.value, full.high - full.low
    return channels, value, width


def heat_map(rows: Sequence[Row], *, from_ns: int, to_ns: int, step_ns: int, title: str, svg: bool = False) -> bytes:
    """Draw channel occupancy (FCO) by channel and time of day (UTC), with its uncertainty below. PNG or SVG."""
    channels, value, width = day_grid(rows, from_ns, to_ns, step_ns)
    figure = Figure(figsize=(11, 2.2 + 0.5 * max(1, len(channels)) * 2), layout="constrained")
    (FigureCanvasSVG if svg else FigureCanvasAgg)(figure)
    ends = [date2num(datetime.fromtimestamp(ns / 1e9, UTC)) for ns in (from_ns, to_ns)]
    labels = [f"{low / 1e6:g}–{high / 1e6:g} MHz" for low, high in channels]
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, grid, said in (
        (upper, value, "occupancy (FCO)"),
        (lower, width, "width of its 95 % interval"),
    ):
        axes.set_facecolor("#d9d9d9")
        axes.patch.set(hatch="////", edgecolor="#8c8c8c")
        if len(channels):
            picture = axes.imshow(
                grid * 100,
                aspect="auto",
                origin="lower",
                extent=(ends[0], ends[1], 0, len(channels)),
                cmap="cividis",
                vmin=0,
                vmax=100,
                interpolation="nearest",
            )
            figure.colorbar(picture, ax=axes, label="%", pad=0.01)
        axes.set_yticks([n + 0.5 for n in range(len(channels))], labels)
        axes.set_title(said, loc="left", fontsize=10)
        axes.set_xlim(*ends)
    lower.xaxis.set_major_locator(HourLocator(interval=max(1, round((to_ns - from_ns) / HOUR_NS / 12))))
    lower.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    lower.set_xlabel("UTC; hatched: not sensed")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    out = io.BytesIO()
    figure.savefig(out, format="svg" if svg else "png", dpi=130)
    return out.getvalue()
