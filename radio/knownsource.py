"""Calibrates a receiver with a source of known power: a tone measured in dBFS gives one point of its table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hw_profiles.calibrationfile import Point
from radio.ports import Iq16, RxBlock, RxFlag
from settlement.core.reasons import Reason, Refusal, refuse

BLOCKS_MIN = 4
SIDE_BINS = 3
EDGE_SHARE = 0.4
RATIO_MIN_DB = 25.0
HEADROOM_DB = 1.0
SPOILED = RxFlag.CLIPPED | RxFlag.GAP | RxFlag.SHORT | RxFlag.OWN_TX | RxFlag.STALE | RxFlag.GAIN_CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The power of the source at the reference plane, and its standard uncertainty."""

    power_dbm: float
    sd_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardTone:
    """The strongest line in some samples: its level, its offset from the centre, and its level above all else."""

    level_dbfs: float
    offset_hz: float
    ratio_db: float


def tone(iq: Iq16, *, sample_rate_hz: int, full_scale: int) -> HeardTone:
    """Find the strongest line; its power is that of the bins within SIDE_BINS of it, under a Hann window.

    Args: iq: int16 of shape (n, 2), n >= 256, not changed.
    """
    window = np.hanning(len(iq))
    samples = iq.astype(np.float64).view(np.complex128).reshape(-1) * window
    power = np.abs(np.fft.fft(samples)) ** 2 / (len(iq) * float(np.sum(window**2)) * full_scale**2)
    at = int(power.argmax())
    line = float(power[np.arange(at - SIDE_BINS, at + SIDE_BINS + 1) % len(power)].sum())
    rest = max(float(power.sum()) - line, 1e-20)
    return HeardTone(
        level_dbfs=10 * math.log10(max(line, 1e-20)),
        offset_hz=float(np.fft.fftfreq(len(power))[at]) * sample_rate_hz,
        ratio_db=10 * math.log10(max(line, 1e-20) / rest),
    )


def point(blocks: Sequence[RxBlock], known: Known) -> Point | Refusal:
    """One point of a calibration table from several looks at the source at one setting, or why they do not give one.

    The uncertainty is the source's and the spread of the looks, in quadrature.
    """
    settings = {b.settings for b in blocks}
    if len(blocks) < BLOCKS_MIN or len(settings) != 1:
        return refuse(Reason.CONFIDENCE, "calibrate.looks", f"{len(blocks)} of {len(settings)} settings", BLOCKS_MIN)
    spoiled = [b.flags for b in blocks if b.flags & SPOILED]
    if spoiled:
        return refuse(Reason.CONFIDENCE, "calibrate.samples", spoiled[0], "clean samples; lower the source or the gain")
    rate = blocks[0].settings.sample_rate_hz
    found = [tone(b.iq, sample_rate_hz=rate, full_scale=b.full_scale) for b in blocks]
    levels = np.array([t.level_dbfs for t in found])
    worst_db = min(t.ratio_db for t in found)
    if worst_db < RATIO_MIN_DB:
        return refuse(
            Reason.CONFIDENCE, "calibrate.ratio", f"{worst_db:.1f} dB", f">= {RATIO_MIN_DB:g} dB over all else"
        )
    if levels.max() > -HEADROOM_DB:
        return refuse(Reason.CONFIDENCE, "calibrate.level", f"{levels.max():.1f} dBFS", f"<= {-HEADROOM_DB:g} dBFS")
    off_hz = max(abs(t.offset_hz) for t in found)
    if off_hz > EDGE_SHARE * min(rate, blocks[0].settings.bandwidth_hz):
        return refuse(Reason.BAND, "calibrate.offset", f"{off_hz:.0f} Hz from the centre", "nearer: filters fall off")
    return Point(
        frequency_hz=blocks[0].settings.center_hz,
        sample_rate_hz=rate,
        gain_db=blocks[0].settings.gain_mdb / 1000,
        full_scale_dbm=round(known.power_dbm - float(levels.mean()), 3),
        sd_db=round(math.hypot(known.sd_db, float(levels.std(ddof=1))), 3),
    )
