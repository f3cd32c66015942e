"""Pictures of what was sensed."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from agent.sense.session import SenseResult

STATE_HATCH = {"busy": "///", "free": "", "unknown": "xx"}


def spectrum_picture(result: SenseResult, path: Path) -> None:
    """Write mean, maximum and floor over frequency as .svg or .png.

    Raises: OSError when the file cannot be written.
    """
    report, settings = result.report, result.settings
    size = settings.fft_size
    mhz = (settings.center_hz + (np.arange(size) - size // 2) * settings.sample_rate_hz / size) / 1e6
    floor = report.channels[0].noise_floor
    offset = settings.calibration.offset_db if settings.calibration else 0.0
    with mpl.rc_context({"svg.hashsalt": "bandpact", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(mhz, _db(report.peak_psd) + offset, color="#b0a060", linewidth=0.8, label="maximum")
        axes.plot(mhz, _db(report.psd) + offset, color="#00204d", linewidth=1.2, label="mean")
        axes.axhline(floor.value, color="#7c7b78", linestyle="--", label=f"floor ± {floor.sd:.1f} dB")
        for channel in report.channels:
            low, high = channel.channel.low_hz / 1e6, channel.channel.high_hz / 1e6
            axes.axvspan(low, high, alpha=0.12, hatch=STATE_HATCH[channel.state.value], color="#35618f")
            text = f"{channel.state.value} {channel.occupancy.value:.0%}"
            axes.text((low + high) / 2, 0.97, text, transform=axes.get_xaxis_transform(), ha="center", va="top")
        axes.set(xlabel="MHz", ylabel=floor.unit, title=result.source)
        axes.legend(loc="lower right")
        figure.savefig(path)


def _db(power: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return 10 * np.log10(np.maximum(power.astype(np.float64), 1e-30))
