"""DECT: packets of 368 microseconds in the slots of a frame of 10 ms.

Source: ETSI EN 300 175-2, 4 (24 slots, 1.152 Mbit/s, 424 bits of a basic packet) and 5 (GFSK, BT 0.5, 288 kHz).
"""

import numpy as np

from radio.signals.shapes import Cplx
from sim.waveforms import fsk

FRAME_S, SLOTS, BITS, BIT_RATE_HZ, DEVIATION_HZ = 10e-3, 24, 424, 1.152e6, 288e3


def generate(
    rng: np.random.Generator, *, sample_rate_hz: float, samples: int, calls: int = 3, offset_hz: float = 0.0
) -> Cplx:
    """Return so many calls on one carrier, two slots each, shape (samples,), complex64, unit power while on."""
    out = np.zeros(samples, np.complex64)
    begin = -float(rng.uniform(0, FRAME_S))
    slots = [int(s) for s in rng.permutation(SLOTS // 2)[:calls]]
    while begin < samples / sample_rate_hz:
        for slot in [*slots, *(s + SLOTS // 2 for s in slots)]:
            bits = rng.integers(0, 2, BITS)
            one = fsk.burst(
                rng, sample_rate_hz=sample_rate_hz, bits=bits, bit_rate_hz=BIT_RATE_HZ, deviation_hz=DEVIATION_HZ,
                offset_hz=offset_hz,
            )  # fmt: skip
            fsk.place(out, one, begin + slot * FRAME_S / SLOTS, sample_rate_hz)
        begin += FRAME_S
    return out
