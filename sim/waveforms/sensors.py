"""Cheap remote controls and sensors: telegrams of on-off or frequency keying, repeated, from a free-running clock.

Source: ETSI EN 300 220-2 (short-range devices at 433 and 868 MHz) for the band; the codings are those of the encoder
chips such transmitters use (Princeton PT2262: short and long pulses of one and three units; Manchester; pulse
distance).
"""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx
from sim.waveforms import fsk


class Coding(Enum):
    """The coding of a bit as on and off times."""

    PULSE_WIDTH = "pwm"
    PULSE_DISTANCE = "ppm"
    MANCHESTER = "manchester"
    FSK = "fsk"


def generate(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    coding: Coding = Coding.PULSE_WIDTH,
    unit_s: float = 350e-6,
    bits: int = 25,
    pause_s: float = 11e-3,
    jitter: float = 0.02,
    offset_hz: float = 0.0,
    deviation_hz: float = 30e3,
) -> Cplx:
    """Return telegrams of `bits` random bits, the same one again and again, shape (samples,), complex64, unit power on.

    Args: unit_s is the shortest on or off time; jitter is the standard deviation of each, as a share of it.
    """
    message = rng.integers(0, 2, bits)
    out = np.zeros(samples, np.complex64)
    at = float(rng.uniform(0, pause_s))
    while at < samples / sample_rate_hz:
        if coding is Coding.FSK:
            one = fsk.burst(
                rng, sample_rate_hz=sample_rate_hz, bits=message, bit_rate_hz=1 / unit_s, deviation_hz=deviation_hz,
                bt=0, offset_hz=offset_hz, ramp_s=1e-5,
            )  # fmt: skip
            fsk.place(out, one, at, sample_rate_hz)
            at += bits * unit_s + pause_s
        else:
            at = pause_s + _keyed(
                rng, out, _times(message, coding) * unit_s, at=at, jitter=jitter, rate_hz=sample_rate_hz,
                offset_hz=offset_hz,
            )  # fmt: skip
    return out


def _times(message: NDArray[np.integer], coding: Coding) -> NDArray[np.float64]:
    """On and off time of each bit in units, (bits, 2); for Manchester, halves that merge with their neighbours."""
    one = {Coding.PULSE_WIDTH: (3, 1), Coding.PULSE_DISTANCE: (1, 4), Coding.MANCHESTER: (1, 2)}[coding]
    zero = {Coding.PULSE_WIDTH: (1, 3), Coding.PULSE_DISTANCE: (1, 2), Coding.MANCHESTER: (2, 1)}[coding]
    return np.where(message[:, None] == 1, one, zero).astype(np.float64)


def _keyed(
    rng: np.random.Generator,
    out: Cplx,
    times: NDArray[np.float64],
    *,
    at: float,
    jitter: float,
    rate_hz: float,
    offset_hz: float,
) -> float:
    """Key a carrier whose frequency differs slightly for each telegram; returns when it ended, s."""
    drift = offset_hz + float(rng.normal(0, 5e3))
    for on, off in times * (1 + jitter * rng.standard_normal(times.shape)):
        count = max(1, int(on * rate_hz))
        t = np.arange(count) / rate_hz + at
        edge = np.minimum(1, np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1)) / max(1, 3e-6 * rate_hz))
        fsk.place(out, (edge * np.exp(2j * np.pi * drift * t)).astype(np.complex64), at, rate_hz)
        at += float(on + off)
    return at
