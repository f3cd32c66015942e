"""Frequency-shift keying with or without Gaussian filter, as in BLE, DECT, GSM and sensors."""

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx, raised_cosine


def burst(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    bits: NDArray[np.integer],
    bit_rate_hz: float,
    deviation_hz: float,
    bt: float = 0.5,
    offset_hz: float = 0.0,
    ramp_s: float = 2e-6,
) -> Cplx:
    """Return one packet of unit power with ramped edges, shape (bits * sample_rate / bit_rate,), complex64.

    Args: bt of the Gaussian filter, 0 for none; a one is `deviation_hz` above `offset_hz`.
    """
    samples = int(len(bits) / bit_rate_hz * sample_rate_hz)
    index = np.minimum((np.arange(samples) / sample_rate_hz * bit_rate_hz).astype(np.int64), len(bits) - 1)
    swing = 2.0 * np.asarray(bits)[index] - 1
    if bt > 0:
        swing = _gaussian(swing, sample_rate_hz / bit_rate_hz * np.sqrt(np.log(2)) / (2 * np.pi * bt))
    turns = np.cumsum(offset_hz + deviation_hz * swing) / sample_rate_hz + rng.uniform()
    wave: Cplx = np.exp(2j * np.pi * np.remainder(turns, 1)).astype(np.complex64)
    edge = min(samples // 2, max(1, round(ramp_s * sample_rate_hz)))
    wave[:edge] *= raised_cosine(edge)
    wave[samples - edge :] *= raised_cosine(edge)[::-1]
    return wave


def place(out: Cplx, packet: Cplx, at_s: float, sample_rate_hz: float) -> None:
    """Add a packet to `out` where it begins at `at_s` after the first sample; what does not fit is cut off."""
    first = round(at_s * sample_rate_hz)
    low, high = max(0, first), min(len(out), first + len(packet))
    if high > low:
        out[low:high] += packet[low - first : high - first]


def _gaussian(levels: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    reach = int(np.ceil(3 * spread))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(spread, 1e-9)) ** 2)
    padded = np.concatenate((np.full(reach, levels[0]), levels, np.full(reach, levels[-1])))
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")
