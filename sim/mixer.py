"""Frequency shift, rate conversion and filtering of stretches of samples, on the absolute sample grid.

Sample k of a grid of rate r is at k / r seconds; every function here gives the same values for a sample whatever
stretch it was asked in (to float rounding), so that looks that overlap agree.
"""

import functools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx
from sensing.transform import fft, ifft

FINE = 256
FRAME = 1024
TAPS = 65
"""Length of every filter here; with Kaiser beta 5 it falls about 53 dB within `TRANSITION` of the sample rate."""
TRANSITION = 0.05
PHASES_MAX = 1024
"""Largest denominator of a rate ratio; each stretch is positioned anew: error 1e-6 at most."""
ARM = 12
"""Half the length of the rate converter's filter, in samples of the slower rate."""

Reader = Callable[[int, int], Cplx]
"""(first, count) -> samples [first, first + count) of a grid, zeros where there are none."""


def phasor(frequency_hz: int, *, rate_hz: int, first: int, samples: int) -> Cplx:
    """Return exp(2j pi f k / rate) for k in [first, first + samples), complex64, exact in phase at every k."""
    fine = _fine(frequency_hz % rate_hz, rate_hz)
    begin = first * frequency_hz % rate_hz
    step = FINE * frequency_hz % rate_hz
    blocks = -(-samples // FINE)
    turns = (begin + step * np.arange(blocks, dtype=np.int64)) % rate_hz / rate_hz
    coarse = np.exp(2j * np.pi * turns).astype(np.complex64)
    wave: Cplx = np.multiply.outer(coarse, fine).reshape(-1)[:samples]
    return wave


@functools.lru_cache(maxsize=64)
def _fine(frequency_hz: int, rate_hz: int) -> Cplx:
    wave: Cplx = np.exp(2j * np.pi * ((np.arange(FINE) * frequency_hz) % rate_hz) / rate_hz).astype(np.complex64)
    return wave


@functools.lru_cache(maxsize=32)
def low_pass(pass_hz: int, rate_hz: int) -> Cplx:
    """Return the response, over `FRAME` bins, of a zero-phase filter flat to `pass_hz` (one-sided)."""
    cutoff = min(pass_hz + TRANSITION / 2 * rate_hz, 0.499 * rate_hz)
    return _response(_windowed_sinc(cutoff / rate_hz), 0.0)


@functools.lru_cache(maxsize=32)
def band_pass(low_hz: int, high_hz: int, rate_hz: int) -> Cplx:
    """Return the response, over `FRAME` bins, of a zero-phase complex filter that keeps [low_hz, high_hz]."""
    half = max((high_hz - low_hz) / 2, 1.0) + TRANSITION / 2 * rate_hz
    taps = _windowed_sinc(min(half / rate_hz, 0.499))
    return _response(taps, (low_hz + high_hz) / 2 / rate_hz)


def _windowed_sinc(cutoff: float) -> NDArray[np.float64]:
    """Taps of a low-pass with its -6 dB point at a fraction of the sample rate and a gain of one at 0 Hz."""
    taps = np.sinc(2 * cutoff * (np.arange(TAPS) - TAPS // 2)) * np.kaiser(TAPS, 5.0)
    scaled: NDArray[np.float64] = taps / taps.sum()
    return scaled


def _response(taps: NDArray[np.float64], turn: float) -> Cplx:
    centred = taps * np.exp(2j * np.pi * turn * (np.arange(len(taps)) - len(taps) // 2))
    response: Cplx = fft(np.roll(np.pad(centred, (0, FRAME - len(taps))), -(len(taps) // 2))).astype(np.complex64)
    return response


def filtered(iq: Cplx, response: Cplx) -> Cplx:
    """Return the middle of the samples, filtered: `TAPS // 2` fewer on either side (overlap-save)."""
    reach = TAPS // 2
    step = FRAME - 2 * reach
    kept = len(iq) - 2 * reach
    frames = -(-kept // step)
    padded = np.zeros(frames * step + 2 * reach, dtype=np.complex64)
    padded[: len(iq)] = iq
    batch = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::step].copy()
    fft(batch, out=batch)
    batch *= response
    ifft(batch, out=batch)
    return batch[:, reach : reach + step].reshape(-1)[:kept]


def converted(read: Reader, *, rate_in_hz: int, rate_out_hz: int, first: int, samples: int) -> Cplx:
    """Return samples [first, first + samples) of the outgoing grid from a reader of the incoming one.

    A polyphase windowed-sinc low-pass at the slower of the two rates; equal rates pass through unchanged.
    """
    if rate_in_hz == rate_out_hz:
        return read(first, samples)
    up, down, matrix = _converter(rate_in_hz, rate_out_hz)
    place = round(Fraction(first * rate_in_hz * up, rate_out_hz))
    skip = place * pow(down, -1, up) % up
    begin = (place - skip * down) // up
    rows = -(-(skip + samples) // up)
    width = matrix.shape[0]
    reach = (width - down) // 2
    source = read(begin - reach, (rows - 1) * down + width)
    windows = np.lib.stride_tricks.sliding_window_view(source, width)[::down]
    return (windows @ matrix).reshape(-1)[skip : skip + samples]


@functools.lru_cache(maxsize=32)
def _converter(rate_in_hz: int, rate_out_hz: int) -> tuple[int, int, Cplx]:
    """(up, down, matrix of shape (row inputs, up)): one row has `down` inputs and `up` outputs."""
    ratio = Fraction(rate_out_hz, rate_in_hz).limit_denominator(PHASES_MAX)
    up, down = ratio.numerator, ratio.denominator
    stretch = max(1.0, down / up)
    reach = math.ceil(ARM * stretch)
    inputs = np.arange(-reach, down + reach)[:, None]
    outputs = np.arange(up)[None, :] * (down / up)
    offset = (inputs - outputs) / stretch
    inside = np.clip(1 - (offset / ARM) ** 2, 0, None)
    window = np.where(np.abs(offset) <= ARM, np.i0(7.0 * np.sqrt(inside)) / np.i0(7.0), 0)
    matrix = (0.95 / stretch * np.sinc(0.95 * offset) * window).astype(np.complex64)
    return up, down, matrix / np.float32(np.abs(matrix.sum(axis=0)).mean())


def reader(iq: Cplx, *, at: int) -> Reader:
    """Return a reader of an array whose first sample is number `at` of its grid."""

    def read(first: int, count: int) -> Cplx:
        begin, end = max(first, at), min(first + count, at + len(iq))
        if begin == first and end == first + count:
            return iq[begin - at : end - at]
        out = np.zeros(count, dtype=np.complex64)
        if end > begin:
            out[begin - first : end - first] = iq[begin - at : end - at]
        return out

    return read
