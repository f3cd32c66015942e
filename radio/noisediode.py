"""Calibrates a receiver by a noise diode of known excess noise: the Y-factor method.

With the diode on and off the receiver hears two known noise temperatures. The ratio of its two power densities gives
its own noise, their difference its gain: what full scale is in dBm. Source: IEEE definition of ENR, (T_on - T0) / T0
with T0 = 290 K; Y-factor method as in NTIA TR-19-540 and every noise-figure meter's manual.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hw_profiles.calibrationfile import Point
from radio.ports import Iq16, RxBlock, RxFlag
from settlement.core.reasons import Reason, Refusal, refuse

BOLTZMANN: Final = 1.380649e-23
T0_K: Final = 290.0
ZERO_C_K: Final = 273.15
BLOCKS_MIN: Final = 4
FFT_SIZE: Final = 1024
PARTS: Final = 16
"""Number of parts of the passband; how much the gain differs among them adds to the uncertainty."""
PASSBAND_SHARE: Final = 0.8
DC_BINS: Final = 3
Y_MIN_DB: Final = 0.5
HEADROOM_DBFS: Final = -12.0
"""Highest mean noise level, dBFS: above it the peaks of the noise are clipped."""
SPOILED: Final = RxFlag.CLIPPED | RxFlag.OWN_TX | RxFlag.STALE | RxFlag.GAIN_CHANGED
STEP: Final = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Diode:
    """A noise diode: its excess noise ratio with standard uncertainty, and its temperature when off.

    `mismatch_sd_db` is what reflections between diode and receiver may do to the power, as a standard uncertainty.
    """

    enr_db: float
    enr_sd_db: float
    temperature_c: float = 25.0
    temperature_sd_k: float = 2.0
    mismatch_sd_db: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class YFactor:
    """Full scale and noise figure of the receiver at one setting, each value with its standard uncertainty."""

    y_db: float
    noise_figure_db: float
    noise_figure_sd_db: float
    full_scale_dbm: float
    full_scale_sd_db: float
    enbw_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """All inputs of the two results."""

    enr_db: float
    off_k: float
    on: float
    off: float

    def results(self) -> tuple[float, float]:
        """Full scale in dBm and noise figure in dB; densities are linear, per Hz, against full scale."""
        on_k = T0_K * (1 + 10 ** (self.enr_db / 10))
        y = self.on / self.off
        own_k = (on_k - y * self.off_k) / (y - 1)
        full_scale_w = BOLTZMANN * (on_k - self.off_k) / (self.on - self.off)
        return 10 * math.log10(full_scale_w) + 30, 10 * math.log10(max(1 + own_k / T0_K, 1e-6))


def density(iq: Iq16, *, sample_rate_hz: int, bandwidth_hz: int, full_scale: int) -> NDArray[np.float64]:
    """Mean power density in PARTS parts of the passband, linear, per Hz, relative to a full-scale sine; DC removed.

    Args: iq int16 (n, 2), n >= FFT_SIZE, not changed.
    """
    frames = iq[: len(iq) // FFT_SIZE * FFT_SIZE].astype(np.float64).view(np.complex128).reshape(-1, FFT_SIZE)
    window = np.hanning(FFT_SIZE)
    spectra = np.abs(np.fft.fftshift(np.fft.fft(frames * window, axis=1), axes=1)) ** 2
    mean = spectra.mean(axis=0) / (sample_rate_hz * np.sum(window**2) * full_scale**2)
    at = np.arange(FFT_SIZE) - FFT_SIZE // 2
    reach = PASSBAND_SHARE * min(bandwidth_hz, sample_rate_hz) / 2 / sample_rate_hz * FFT_SIZE
    inside = (np.abs(at) <= reach) & (np.abs(at) > DC_BINS)
    return np.array([part.mean() for part in np.array_split(mean[inside], PARTS)])


def y_factor(on: Sequence[RxBlock], off: Sequence[RxBlock], diode: Diode) -> YFactor | Refusal:
    """Gain and noise figure from looks with the diode on and off, all at one setting, or why there is no result."""
    settings = {b.settings for b in (*on, *off)}
    if min(len(on), len(off)) < BLOCKS_MIN or len(settings) != 1:
        return refuse(Reason.CONFIDENCE, "calibrate.looks", f"{len(on)} on and {len(off)} off", BLOCKS_MIN)
    spoiled = [b.flags for b in (*on, *off) if b.flags & SPOILED]
    if spoiled:
        return refuse(Reason.CONFIDENCE, "calibrate.samples", spoiled[0], "clean samples; lower the gain")
    held = next(iter(settings))
    lit, dark = (np.array([_of(block) for block in blocks]) for blocks in (on, off))
    loud = 10 * math.log10(max(float(lit.mean()) * held.bandwidth_hz, 1e-30))
    if loud > HEADROOM_DBFS:
        return refuse(Reason.CONFIDENCE, "calibrate.level", f"{loud:.1f} dBFS", f"<= {HEADROOM_DBFS:g} dBFS")
    if float(dark.mean()) <= 0 or float(lit.mean()) <= float(dark.mean()):
        return refuse(Reason.CONFIDENCE, "calibrate.y", "no louder with the diode on", f">= {Y_MIN_DB:g} dB")
    inputs = _Inputs(
        enr_db=diode.enr_db, off_k=diode.temperature_c + ZERO_C_K, on=float(lit.mean()), off=float(dark.mean())
    )
    y_db = 10 * math.log10(inputs.on / inputs.off)
    if y_db < Y_MIN_DB:
        return refuse(Reason.CONFIDENCE, "calibrate.y", f"{y_db:.2f} dB", f">= {Y_MIN_DB:g} dB; check the diode")
    full_scale, figure = inputs.results()
    doubts = _doubts(inputs, diode, lit, dark)
    return YFactor(
        y_db=y_db,
        noise_figure_db=figure,
        noise_figure_sd_db=math.hypot(*(d[1] for d in doubts), diode.mismatch_sd_db),
        full_scale_dbm=full_scale,
        full_scale_sd_db=math.hypot(*(d[0] for d in doubts), diode.mismatch_sd_db, _ripple_db(lit, dark)),
        enbw_hz=_enbw_hz(on, held.bandwidth_hz),
    )


def _of(block: RxBlock) -> NDArray[np.float64]:
    held = block.settings
    return density(
        block.iq, sample_rate_hz=held.sample_rate_hz, bandwidth_hz=held.bandwidth_hz, full_scale=block.full_scale
    )


def _doubts(
    inputs: _Inputs, diode: Diode, lit: NDArray[np.float64], dark: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """The effect of each input's uncertainty on full scale and on noise figure, in dB: first order, one at a time."""
    sizes = {
        "enr_db": diode.enr_sd_db,
        "off_k": diode.temperature_sd_k,
        "on": _mean_sd(lit),
        "off": _mean_sd(dark),
    }
    return [_effect(inputs.results, inputs, name, size) for name, size in sizes.items()]


def _effect(results: Callable[[], tuple[float, float]], inputs: _Inputs, name: str, size: float) -> tuple[float, float]:
    value = float(getattr(inputs, name))
    step = abs(value) * STEP + 1e-12 * (value == 0)
    here = results()
    there = replace(inputs, **{name: value + step}).results()
    return (there[0] - here[0]) / step * size, (there[1] - here[1]) / step * size


def _mean_sd(parts: NDArray[np.float64]) -> float:
    """Standard error of the mean, from the spread of the looks."""
    looks = parts.mean(axis=1)
    return float(looks.std(ddof=1)) / math.sqrt(len(looks))


def _ripple_db(lit: NDArray[np.float64], dark: NDArray[np.float64]) -> float:
    """The variation of the gain over the passband in dB, beyond what the scatter of the looks explains."""
    looks = min(len(lit), len(dark))
    gain = lit.mean(axis=0) - dark.mean(axis=0)
    scatter = math.hypot(
        float(lit.std(axis=0, ddof=1).mean()) / math.sqrt(looks),
        float(dark.std(axis=0, ddof=1).mean()) / math.sqrt(looks),
    )
    spread = math.sqrt(max(0.0, float(gain.std(ddof=1)) ** 2 - scatter**2))
    return 10 / math.log(10) * spread / float(gain.mean())


def _enbw_hz(on: Sequence[RxBlock], bandwidth_hz: int) -> float:
    """Equivalent noise bandwidth in Hz: total received noise power over its density in the passband."""
    shares = []
    for block in on:
        z = block.iq.astype(np.float64)
        power = float(((z - z.mean(axis=0)) ** 2).sum(axis=1).mean()) / block.full_scale**2
        shares.append(power / float(_of(block).mean()))
    return round(float(np.mean(shares)), 1) if shares else float(bandwidth_hz)


def point_of(found: YFactor, block: RxBlock) -> Point:
    """The result as a point of the unit's table."""
    return Point(
        frequency_hz=block.settings.center_hz,
        sample_rate_hz=block.settings.sample_rate_hz,
        gain_db=block.settings.gain_mdb / 1000,
        full_scale_dbm=round(found.full_scale_dbm, 3),
        sd_db=round(found.full_scale_sd_db, 3),
        method="y-factor",
        noise_figure_db=round(found.noise_figure_db, 3),
        noise_figure_sd_db=round(found.noise_figure_sd_db, 3),
        enbw_hz=found.enbw_hz,
    )
