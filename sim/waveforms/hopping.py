"""Frequency hopping: GFSK dwells on channels drawn at random, as a hopset radio does."""

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx, raised_cosine


def generate(
    rng: np.random.Generator,
    *,
    sample_rate_hz: int,
    samples: int,
    channels: int = 12,
    raster_hz: float = 1_000_000.0,
    dwell_s: float = 625e-6,
    on_fraction: float = 0.6,
    bit_rate_hz: float = 1_000_000.0,
    deviation_hz: float = 160_000.0,
) -> Cplx:
    """Return hops, shape (samples,), complex64, unit power while one is on.

    Each dwell sits on one of `channels` carriers, `raster_hz` apart and centred on 0, is on for `on_fraction` of
    `dwell_s`, and carries random bits by Gaussian FSK (BT 0.5). The defaults are Bluetooth-like.

    Raises:
        ValueError: the hopset is wider than the sample rate.
    """
    if channels * raster_hz > sample_rate_hz:
        raise ValueError(f"{channels} channels of {raster_hz:g} Hz are wider than {sample_rate_hz} S/s")
    dwell = max(1, round(dwell_s * sample_rate_hz))
    on = max(2, round(dwell * on_fraction))
    out = np.zeros(samples, dtype=np.complex64)
    for start in range(0, samples, dwell):
        offset_hz = (int(rng.integers(channels)) - (channels - 1) / 2) * raster_hz
        hop = _hop(rng, on, sample_rate_hz, offset_hz=offset_hz, bit_rate_hz=bit_rate_hz, deviation_hz=deviation_hz)
        fits = min(on, samples - start)
        out[start : start + fits] = hop[:fits]
    return out


def _hop(
    rng: np.random.Generator, samples: int, rate_hz: int, *, offset_hz: float, bit_rate_hz: float, deviation_hz: float
) -> Cplx:
    """One dwell with half-cosine edges of 2 us."""
    per_bit = max(1, round(rate_hz / bit_rate_hz))
    bits = 2 * rng.integers(0, 2, size=samples // per_bit + 2) - 1
    swing = _gaussian(np.repeat(bits, per_bit)[:samples].astype(np.float64), per_bit)
    phase = 2 * np.pi * (np.cumsum(offset_hz + deviation_hz * swing) / rate_hz + rng.uniform())
    wave: Cplx = np.exp(1j * np.remainder(phase, 2 * np.pi)).astype(np.complex64)
    edge = min(samples // 2, max(1, round(2e-6 * rate_hz)))
    ramp = raised_cosine(edge)
    wave[:edge] *= ramp
    wave[samples - edge :] *= ramp[::-1]
    return wave


def _gaussian(levels: NDArray[np.float64], per_bit: int) -> NDArray[np.float64]:
    """Smooth the bits with a Gaussian of BT 0.5: standard deviation sqrt(ln 2) / (2 pi BT) bits."""
    spread = np.sqrt(np.log(2)) / np.pi * per_bit
    reach = int(np.ceil(3 * spread))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(spread, 1e-9)) ** 2)
    smoothed = np.convolve(levels, kernel / kernel.sum(), mode="full")
    return smoothed[reach : reach + len(levels)]
