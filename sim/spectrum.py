"""Spectra of emissions from moment to moment: their sum, and the maximum of each bin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensing.transform import fft

BINS = 2048
STEP = BINS // 2
CHUNK = 32
REFERENCE_HZ = 1_000_000
_HANN = np.hanning(BINS + 1)[:-1].astype(np.float32)
_NORM = 1 / (BINS * float(np.sum(_HANN.astype(np.float64) ** 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Mean square of |x| by bin, lowest frequency first, shape (BINS,): over all moments, and the largest."""

    total: NDArray[np.float64]
    held: NDArray[np.float64]


def spectrum(iq: NDArray[np.complex64], *, before: bool, after: bool) -> Spectrum:
    """Hann-windowed moments of BINS samples, half overlapping, from the first sample on.

    Args: iq: shape (n,). before, after: whether silence lies before and behind; then every sample counts in full, else
        it fades with its window, as where something else played on, or was cut off.
    """
    front = STEP if before else 0
    length = front + len(iq) + (STEP if after else 0)
    moments = max(1, -(-(length - BINS) // STEP) + 1)
    padded = np.zeros((moments + 1) * STEP, dtype=np.complex64)
    padded[front : front + len(iq)] = iq
    halves = padded.reshape(-1, STEP)
    total, held = np.zeros(BINS), np.zeros(BINS, dtype=np.float32)
    for at in range(0, moments, CHUNK):
        upto = min(moments, at + CHUNK)
        rows = np.concatenate((halves[at:upto], halves[at + 1 : upto + 1]), axis=1)
        rows *= _HANN
        bins = fft(rows, out=rows)
        power = bins.real**2 + bins.imag**2
        total += power.sum(axis=0, dtype=np.float64)
        np.maximum(held, power.max(axis=0), out=held)
    return Spectrum(total=np.fft.fftshift(total) * _NORM, held=np.fft.fftshift(held).astype(np.float64) * _NORM)


def extent(held: NDArray[np.float64], *, bin_hz: float, limit: float) -> tuple[int, int] | None:
    """The bins that enclose every 1 MHz, or less, with more than `limit`; None if there is none.

    No reference bandwidth wholly below the first bin returned, or wholly above the last, holds more.
    """
    width = max(1, round(REFERENCE_HZ / bin_hz))
    summed = np.concatenate((np.zeros(width), np.cumsum(held)))
    summed = np.concatenate((summed, np.full(width, summed[-1])))
    over_up = np.nonzero(summed[2 * width :] - summed[width:-width] > limit)[0]
    over_down = np.nonzero(summed[width:-width] - summed[: -2 * width] > limit)[0]
    if len(over_up) == 0 or len(over_down) == 0:
        return None
    return int(over_down[0]), int(over_up[-1])
