"""GSM: bursts of 577 microseconds in the eight slots of a frame, one slot in use or all of them.

Source: 3GPP TS 45.002, 5 (148 bits in a slot of 156.25, eight slots a frame) and TS 45.004, 2 (GMSK, BT 0.3).
"""

import numpy as np

from radio.signals.shapes import Cplx
from sim.waveforms import fsk

BIT_RATE_HZ, BITS, SLOT_BITS, SLOTS = 1625e3 / 6, 148, 156.25, 8


def generate(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    slots: tuple[int, ...] = (0, 3),
    offset_hz: float = 0.0,
) -> Cplx:
    """Return the bursts of the given slots, shape (samples,), complex64, unit power while on."""
    out = np.zeros(samples, np.complex64)
    slot_s = SLOT_BITS / BIT_RATE_HZ
    begin = -float(rng.uniform(0, SLOTS * slot_s))
    while begin < samples / sample_rate_hz:
        for slot in slots:
            one = fsk.burst(
                rng, sample_rate_hz=sample_rate_hz, bits=rng.integers(0, 2, BITS), bit_rate_hz=BIT_RATE_HZ,
                deviation_hz=BIT_RATE_HZ / 4, bt=0.3, offset_hz=offset_hz, ramp_s=10e-6,
            )  # fmt: skip
            fsk.place(out, one, begin + slot * slot_s, sample_rate_hz)
        begin += SLOTS * slot_s
    return out
