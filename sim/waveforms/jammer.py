"""A sweeping jammer: sawtooth chirps, one after the other, without a pause.

Source: R. Mitch et al., Signal Characteristics of Civil GPS Jammers, ION GNSS 2011 (sweeps of 9 to 26 microseconds over
10 to 20 MHz, always on).
"""

import numpy as np

from radio.signals.shapes import Cplx


def generate(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    sweep_s: float = 20e-6,
    width_hz: float | None = None,
    offset_hz: float = 0.0,
) -> Cplx:
    """Return sweeps over `width_hz` (default 0.9 of the rate), shape (samples,), complex64, unit power.

    What lies beyond half the sample rate is left out.
    """
    width = 0.9 * sample_rate_hz if width_hz is None else width_hz
    t = np.arange(samples) / sample_rate_hz + float(rng.uniform(0, sweep_s))
    at_hz = offset_hz + width * (np.remainder(t, sweep_s) / sweep_s - 0.5)
    turns = np.cumsum(at_hz) / sample_rate_hz
    wave: Cplx = np.exp(2j * np.pi * np.remainder(turns, 1)).astype(np.complex64)
    wave[np.abs(at_hz) > sample_rate_hz / 2] = 0
    return wave
