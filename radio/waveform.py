"""Measures a burst before it is sent: power and spectrum of the very samples, against what the permit allows.

The burst is split into half-overlapping Hann-windowed segments of SEGMENT samples (Welch 1967), and the strongest one
counts. Powers are referred to the antenna by the calibrated EIRP of a full-scale tone.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.fft import fft

from radio.ports import Iq16
from settlement.chain.scope import Band
from settlement.reasons import Reason, Refusal, refuse

SEGMENT = 2048
HALF = SEGMENT // 2
REFERENCE_HZ = 1_000_000
_WINDOW = np.hanning(SEGMENT + 1)[:-1].astype(np.float32)
_WINDOW_PAIRS = np.repeat(_WINDOW, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a full-scale tone radiates: `eirp_mdbm` at the transmit setting in use."""

    full_scale: int
    eirp_mdbm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One burst: EIRP of its loudest moment, and the strongest 1 MHz outside the allowed band."""

    eirp_mdbm: int
    outside_mdbm_per_mhz: int
    clipped: bool


def spectra(iq: Iq16, full_scale: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Power of each half-overlapping segment in SEGMENT bins, in shares of a full-scale tone; lowest frequency first.

    Half a segment of silence is put before and behind, so that every sample counts in full in some segment.

    Args: iq: int16 of shape (n, 2), not changed. full_scale: amplitude of a full-scale tone.
    """
    halves = -(-len(iq) // HALF) + 2
    padded = np.zeros((halves * HALF, 2), dtype=np.int16)
    padded[HALF : HALF + len(iq)] = iq
    rows = padded.reshape(halves, 2 * HALF)
    # Interleaved pairs are windowed while they become floats, then seen as complex: no copy beside the one made here.
    windowed = np.empty((halves - 1, 4 * HALF), dtype=np.float32)
    np.multiply(rows[:-1], _WINDOW_PAIRS[: 2 * HALF], out=windowed[:, : 2 * HALF])
    np.multiply(rows[1:], _WINDOW_PAIRS[2 * HALF :], out=windowed[:, 2 * HALF :])
    bins = fft(windowed.view(np.complex64), axis=1, overwrite_x=True).view(np.float32)
    np.square(bins, out=bins)
    power = bins[:, 0::2] + bins[:, 1::2]
    power *= np.float32(1 / (SEGMENT * float(np.sum(_WINDOW**2, dtype=np.float64)) * full_scale**2))
    return np.fft.fftshift(power, axes=1)


def measure(iq: Iq16, *, center_hz: int, sample_rate_hz: int, band: Band, calibration: Calibration) -> Measured:
    """Measure a burst against a band, by its strongest moment: what is loud for an instant is not averaged away.

    Args: iq: int16 of shape (n, 2), n > 0. center_hz: where the radio is tuned. band: what is allowed.
    Returns: EIRP of the strongest SEGMENT samples in mdBm; the strongest REFERENCE_HZ outside the band, in any segment.
    """
    bin_hz = sample_rate_hz / SEGMENT
    centers_hz = center_hz + (np.arange(SEGMENT) - SEGMENT // 2) * bin_hz
    outside = (centers_hz < band.low_hz) | (centers_hz >= band.high_hz)
    width = max(1, round(REFERENCE_HZ / bin_hz))
    power = spectra(iq, calibration.full_scale) * outside
    summed = np.cumsum(power, axis=1)
    strongest = float((summed[:, width:] - summed[:, :-width]).max(initial=0.0))
    return Measured(
        eirp_mdbm=calibration.eirp_mdbm + _mdb(_loudest(iq, calibration.full_scale)),
        outside_mdbm_per_mhz=calibration.eirp_mdbm + _mdb(strongest),
        clipped=bool(max(int(iq.max()), -int(iq.min())) >= calibration.full_scale),
    )


def _loudest(iq: Iq16, full_scale: int) -> float:
    """Mean power of the strongest SEGMENT consecutive samples, in steps of HALF, as a share of a full-scale tone's."""
    squares = np.square(iq, dtype=np.float32).sum(axis=1)
    starts = np.arange(0, len(squares), HALF)
    sums = np.add.reduceat(squares, starts)
    lengths = np.diff(np.append(starts, len(squares)))
    if len(sums) > 1:
        sums, lengths = sums[:-1] + sums[1:], lengths[:-1] + lengths[1:]
    return float((sums / lengths).max()) / full_scale**2


def _mdb(ratio: float) -> int:
    return round(10_000 * math.log10(max(ratio, 1e-20)))


def check(measured: Measured, *, max_eirp_mdbm: int, outside_limit_mdbm_per_mhz: int) -> Refusal | None:
    """None when the burst is inside power and mask; hotter is POWER, wider or clipped is MASK."""
    if measured.eirp_mdbm > max_eirp_mdbm:
        return refuse(Reason.POWER, "waveform.eirp", f"{measured.eirp_mdbm} mdBm", f"<= {max_eirp_mdbm} mdBm")
    if measured.clipped:
        return refuse(Reason.MASK, "waveform.clipped", "samples at full scale", "headroom")
    if measured.outside_mdbm_per_mhz > outside_limit_mdbm_per_mhz:
        outside = f"{measured.outside_mdbm_per_mhz} mdBm/MHz outside the band"
        return refuse(Reason.MASK, "waveform.outside", outside, f"<= {outside_limit_mdbm_per_mhz} mdBm/MHz")
    return None
