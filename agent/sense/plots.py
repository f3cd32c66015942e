"""Pictures of what was sensed."""

from math import isfinite
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.sense.session import SenseResult
from sensing.results import ChannelReport, SurveyReport

STATE_HATCH = {"busy": "///", "free": "", "unknown": "xx"}
WORDS_MAX: Final = 8


def spectrum_picture(result: SenseResult, path: Path) -> None:
    """Write mean, maximum and floor over frequency as .svg or .png.

    Raises: OSError when the file cannot be written.
    """
    report, settings = result.report, result.settings
    size = settings.fft_size
    mhz = (settings.center_hz + (np.arange(size) - size // 2) * settings.sample_rate_hz / size) / 1e6
    unit = report.channels[0].noise_floor.unit
    offset = settings.calibration.offset_db if settings.calibration else 0.0
    with mpl.rc_context({"svg.hashsalt": "bandpact", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(mhz, _db(report.peak_psd) + offset, color="#b0a060", linewidth=0.8, label="maximum")
        axes.plot(mhz, _db(report.psd) + offset, color="#00204d", linewidth=1.2, label="mean")
        for index, channel in enumerate(report.channels):
            _mark(axes, channel, label="floor and its standard error" if index == 0 else None, many=_crowded(report))
        axes.margins(x=0.01, y=0.14)
        axes.set(xlabel="MHz", ylabel=unit, title=result.source.rpartition("/")[2])
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path)


def _crowded(report: SurveyReport) -> bool:
    """Whether there are too many channels for words beside each other."""
    return len(report.channels) > WORDS_MAX


def _mark(axes: Axes, channel: ChannelReport, *, label: str | None, many: bool) -> None:
    """Shade a channel, say its state and occupancy, and draw its own floor."""
    low, high = channel.channel.low_hz / 1e6, channel.channel.high_hz / 1e6
    axes.axvspan(low, high, alpha=0.12, hatch=STATE_HATCH[channel.state.value], color="#35618f")
    floor = channel.noise_floor
    if isfinite(floor.value):
        axes.fill_between([low, high], floor.value - floor.sd, floor.value + floor.sd, color="#7c7b78", label=label)
    share = f" {channel.occupancy.value:.0%}" if isfinite(channel.occupancy.value) else ""
    axes.text(
        (low + high) / 2,
        0.98,
        f"{channel.state.value}{share}",
        transform=axes.get_xaxis_transform(),
        ha="center",
        va="top",
        rotation=90 if many else 0,
        fontsize=8 if many else 10,
    )


def _db(power: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return 10 * np.log10(np.maximum(power.astype(np.float64), 1e-30))
