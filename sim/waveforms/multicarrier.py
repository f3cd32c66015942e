"""OFDM symbols of any numerology at any sample rate, as bursts of evenly spaced carriers."""

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx, raised_cosine

Carriers = NDArray[np.complex128]


def add_symbol(
    out: Cplx,
    *,
    sample_rate_hz: float,
    start_s: float,
    useful_s: float,
    prefix_s: float,
    spacing_hz: float,
    first: int,
    values: Carriers,
) -> None:
    """Add one OFDM symbol with its cyclic prefix to `out`; `values` (carriers,) have a total power of one.

    Args: start_s of the prefix since the first sample; first is the number of the lowest carrier from the centre.
        Carriers beyond half the sample rate are left out. Edges are ramped over 0.3 microseconds, as a filter would.
    """
    begin = max(0, int(np.ceil(start_s * sample_rate_hz)))
    end = min(len(out), int(np.ceil((start_s + prefix_s + useful_s) * sample_rate_hz)))
    if end <= begin:
        return
    numbers = first + np.arange(len(values))
    inside = np.abs(numbers * spacing_hz) < sample_rate_hz / 2
    numbers, values = numbers[inside], values[inside]
    into_s = np.arange(begin, end) / sample_rate_hz - start_s - prefix_s
    # The lowest carrier's rotation and the step between carriers: one matrix of powers, not one exponential each.
    step = np.exp(2j * np.pi * spacing_hz * into_s)
    wave = np.exp(2j * np.pi * spacing_hz * first * into_s) * _series(step, numbers - first, values)
    edge = min(len(wave) // 2, max(1, round(0.3e-6 * sample_rate_hz)))
    ramp = raised_cosine(edge)
    if begin > 0:
        wave[:edge] *= ramp
    if end < len(out):
        wave[len(wave) - edge :] *= ramp[::-1]
    out[begin:end] += wave.astype(np.complex64)


def _series(step: Carriers, numbers: NDArray[np.int64], values: Carriers) -> Carriers:
    """Sum of values times powers of `step`, by Horner's rule."""
    total = np.zeros(len(step), np.complex128)
    if len(numbers) == 0:
        return total
    dense = np.zeros(int(numbers[-1]) + 1, np.complex128)
    dense[numbers] = values
    for value in dense[::-1]:
        total = total * step + value
    return total
