"""Measures a burst before it is sent: power and spectrum of the very samples, against what the permit allows.

The burst is split into segments of SEGMENT samples, Hann-windowed and averaged (Welch 1967, no overlap). Powers are
referred to the antenna by the calibrated EIRP of a full-scale tone.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.fft import fft

from radio.ports import Iq16
from settlement.chain.scope import Band
from settlement.reasons import Reason, Refusal, refuse

SEGMENT = 2048
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
    """One burst: mean EIRP while on, and the strongest 1 MHz outside the allowed band."""

    eirp_mdbm: int
    outside_mdbm_per_mhz: int
    clipped: bool


def spectrum(iq: Iq16, full_scale: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean power in each of SEGMENT bins as a share of a full-scale tone's, lowest frequency first.

    Args: iq: int16 of shape (n, 2), not changed. full_scale: amplitude of a full-scale tone.
    """
    whole = -(-len(iq) // SEGMENT)
    if len(iq) % SEGMENT:
        iq = np.concatenate((iq, np.zeros((whole * SEGMENT - len(iq), 2), dtype=np.int16)))
    # Interleaved pairs are windowed while they become floats, then seen as complex: no copy beside the one made here.
    windowed = iq.reshape(whole, 2 * SEGMENT) * _WINDOW_PAIRS
    bins = fft(windowed.view(np.complex64), axis=1, overwrite_x=True).view(np.float32)
    squares = np.einsum("ij,ij->j", bins, bins)
    power = (squares[0::2] + squares[1::2]).astype(np.float64) / whole
    scale = SEGMENT * float(np.sum(_WINDOW**2, dtype=np.float64)) * full_scale**2
    return np.fft.fftshift(power) / scale


def measure(iq: Iq16, *, center_hz: int, sample_rate_hz: int, band: Band, calibration: Calibration) -> Measured:
    """Measure a burst against a band.

    Args: iq: int16 of shape (n, 2), n > 0. center_hz: where the radio is tuned. band: what is allowed.
    Returns: EIRP in mdBm; the strongest REFERENCE_HZ outside the band in mdBm, full SEGMENT resolution.
    """
    power = spectrum(iq, calibration.full_scale)
    bin_hz = sample_rate_hz / SEGMENT
    centers_hz = center_hz + (np.arange(SEGMENT) - SEGMENT // 2) * bin_hz
    outside = np.where((centers_hz < band.low_hz) | (centers_hz >= band.high_hz), power, 0.0)
    width = max(1, round(REFERENCE_HZ / bin_hz))
    sums = np.convolve(outside, np.ones(width), mode="valid")
    on = float(np.mean(np.square(iq, dtype=np.float32))) * 2 / calibration.full_scale**2
    return Measured(
        eirp_mdbm=calibration.eirp_mdbm + _mdb(on),
        outside_mdbm_per_mhz=calibration.eirp_mdbm + _mdb(float(sums.max())),
        clipped=bool(np.abs(iq).max() >= calibration.full_scale),
    )


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
