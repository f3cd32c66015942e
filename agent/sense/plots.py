"""Pictures of a sensing run: spectrum with noise floor and detection level, the same over time, and what is unknown."""

import io
from collections.abc import Sequence
from math import isfinite, log10
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from agent.sense.picture import Spectrogram
from agent.sense.session import SenseResult
from agent.words.figures import Figure
from hw_profiles.wholefile import write_whole
from sensing.results import ChannelReport

STATE_COLOUR: Final = {"busy": "#b03a2e", "free": "#2e7d4f", "unknown": "#8a6d00"}
UNTOLD: Final = {"facecolor": "#00000010", "edgecolor": "#00000050", "hatch": "xxx", "linewidth": 0.0}
WORDS_MAX: Final = 8
COLOURS: Final = (0.02, 0.998)
"""Quantiles of the levels that the colours span."""


def spectrum_picture(results: Sequence[SenseResult], picture: Spectrogram, path: Path) -> None:
    """Write a picture as .svg or .png, whole or not at all.

    Raises: OSError when the file cannot be written.
    """
    unit = results[0].report.channels[0].noise_floor.unit
    with mpl.rc_context({"svg.hashsalt": "bandpact", "svg.fonttype": "none", "hatch.linewidth": 0.5}):
        figure = Figure(figsize=(9, 7.5), layout="constrained")
        spectrum, water = figure.subplots(2, 1, sharex=True, height_ratios=(1.0, 1.2))
        many = sum(len(r.report.channels) for r in results) > WORDS_MAX
        for index, result in enumerate(results):
            _spectrum(spectrum, result, first=index == 0, many=many)
        spectrum.margins(x=0.01, y=0.16)
        spectrum.set(ylabel=unit, title=results[0].source.rpartition("/")[2])
        _over_time(figure, water, results, picture, unit)
        handles, labels = spectrum.get_legend_handles_labels()
        handles.append(Patch(**UNTOLD))  # type: ignore[arg-type]
        figure.legend(handles, [*labels, "not told"], loc="outside lower center", ncols=3, frameon=False)
        drawn = io.BytesIO()
        figure.savefig(drawn, format=path.suffix.removeprefix("."), dpi=110)
    write_whole(path, drawn.getvalue())


def _spectrum(axes: Axes, result: SenseResult, *, first: bool, many: bool) -> None:
    """Draw mean, maximum, noise floor and detection level over frequency."""
    report, settings = result.report, result.settings
    size = settings.fft_size
    mhz = (settings.center_hz + (np.arange(size) - size // 2) * settings.sample_rate_hz / size) / 1e6
    offset = _offset_db(result)
    if report.psd.any():
        axes.plot(
            mhz, _db(report.peak_psd) + offset, color="#b0a060", linewidth=0.8, label="maximum" if first else None
        )
        axes.plot(mhz, _db(report.psd) + offset, color="#00204d", linewidth=1.2, label="mean" if first else None)
    for index, channel in enumerate(report.channels):
        _mark(axes, channel, first=first and index == 0, many=many)
    for one in result.unreported:
        axes.axvspan(one.band.low_hz / 1e6, one.band.high_hz / 1e6, **UNTOLD)  # type: ignore[arg-type]
    for channel in report.channels:
        if channel.channel in result.beyond_filter:
            axes.axvspan(channel.channel.low_hz / 1e6, channel.channel.high_hz / 1e6, **UNTOLD)  # type: ignore[arg-type]


def _mark(axes: Axes, channel: ChannelReport, *, first: bool, many: bool) -> None:
    """Draw a channel's edges, state and occupancy, its floor, and the level from which it counts as busy."""
    low, high = channel.channel.low_hz / 1e6, channel.channel.high_hz / 1e6
    colour = STATE_COLOUR[channel.state.value]
    axes.axvspan(low, high, alpha=0.10, color=colour, linewidth=0)
    axes.axvline(low, color="#00000030", linewidth=0.6)
    axes.axvline(high, color="#00000030", linewidth=0.6)
    floor, limit = channel.noise_floor, channel.sensitivity_limit
    if isfinite(floor.value):
        label = "floor and its standard error" if first else None
        axes.fill_between([low, high], floor.value - floor.sd, floor.value + floor.sd, color="#7c7b78", label=label)
    if isfinite(channel.threshold.value):
        level = channel.threshold.value
        label = "busy from, in one block" if first else None
        axes.plot([low, high], [level, level], color="#e65100", label=label)
    if isfinite(limit.value):
        level = limit.value - 10 * log10(channel.channel.width_hz)
        axes.plot([low, high], [level, level], color="#c2185b", linestyle="--", label="sees from" if first else None)
    share = f" {channel.occupancy.value:.0%}" if isfinite(channel.occupancy.value) else ""
    axes.text(
        (low + high) / 2,
        0.98,
        f"{channel.state.value}{share}",
        transform=axes.get_xaxis_transform(),
        color=colour,
        ha="center",
        va="top",
        rotation=90 if many else 0,
        fontsize=7 if many else 10,
    )


def _over_time(figure: Figure, axes: Axes, results: Sequence[SenseResult], picture: Spectrogram, unit: str) -> None:
    """Draw power over frequency and time with one colour scale; gaps and doubtful rows are hatched."""
    drawn = [(r, *picture.cells(r.tuning)) for r in results]
    levels = [_db(lines) + _offset_db(r) for r, _, lines, _ in drawn if len(lines)]
    known = np.concatenate([one[np.isfinite(one)] for one in levels]) if levels else np.zeros(0)
    if not len(known):
        axes.set(xlabel="MHz", ylabel="s")
        axes.text(0.5, 0.5, "no spectrum to show", transform=axes.transAxes, ha="center", va="center")
        return
    low, high = np.quantile(known, COLOURS)
    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, zorder=-1, **UNTOLD))  # type: ignore[arg-type]
    mesh = None
    for result, edges, lines, doubts in drawn:
        if not len(lines):
            continue
        center, rate = result.settings.center_hz, result.settings.sample_rate_hz
        sides = (center + np.linspace(-rate / 2, rate / 2, lines.shape[1] + 1)) / 1e6
        cells = np.ma.masked_invalid(_db(lines) + _offset_db(result))
        mesh = axes.pcolormesh(sides, edges, cells, cmap="cividis", vmin=low, vmax=high, rasterized=True)
        for index in np.flatnonzero(doubts):
            axes.axhspan(edges[index], edges[index + 1], **UNTOLD)  # type: ignore[arg-type]
        for one in result.unreported:
            axes.axvspan(one.band.low_hz / 1e6, one.band.high_hz / 1e6, **UNTOLD)  # type: ignore[arg-type]
        for radar in result.report.incumbents:
            width, height = (radar.high_hz - radar.low_hz) / 1e6, max(radar.end_ns - radar.start_ns, 0) / 1e9
            corner = radar.low_hz / 1e6, radar.start_ns / 1e9
            axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor="#ff5252", linewidth=1.5))
    axes.invert_yaxis()
    axes.set(xlabel="MHz", ylabel="seconds")
    if mesh is not None:
        figure.colorbar(mesh, ax=axes, label=unit, pad=0.01)


def _offset_db(result: SenseResult) -> float:
    return result.settings.calibration.offset_db if result.settings.calibration else 0.0


def _db(power: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    wide = power.astype(np.float64)
    return np.where(np.isfinite(wide), 10 * np.log10(np.maximum(np.nan_to_num(wide), 1e-30)), np.nan)
