"""Bluetooth LE connection events: data packets answered by empty acknowledgements, and the acknowledgements alone.

Source: Bluetooth Core Specification 5.4, volume 6: part A 3.1 (GFSK, BT 0.5, index 0.45 to 0.55), part B 2.1-2.2
(packet of the 1M and 2M PHY: preamble of 1 or 2 bytes, access address 4, header 2, CRC 3) and 4.1.1 (150 microseconds
apart).
"""

import numpy as np

from radio.signals.shapes import Cplx
from sim.waveforms import fsk

SPACE_S = 150e-6
INDEX = 0.5
OVERHEAD_BYTES = 4 + 2 + 3


def packet(rng: np.random.Generator, *, sample_rate_hz: float, payload: int, mbps: int, offset_hz: float = 0.0) -> Cplx:
    """Return one packet of `payload` bytes, unit power; an empty one at 2 Mbit/s lasts 44 microseconds."""
    bits = rng.integers(0, 2, 8 * (mbps + OVERHEAD_BYTES + payload))
    bits[: 8 * mbps] = np.arange(8 * mbps) % 2
    rate = mbps * 1e6
    return fsk.burst(
        rng, sample_rate_hz=sample_rate_hz, bits=bits, bit_rate_hz=rate, deviation_hz=INDEX * rate / 2,
        offset_hz=offset_hz, ramp_s=1e-6,
    )  # fmt: skip


def generate(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    mbps: int = 2,
    payload: int = 251,
    data_db: float | None = None,
    offset_hz: float = 0.0,
    event_s: float = 30e-3,
    pause_s: float = 1.5e-3,
) -> Cplx:
    """Return acknowledgements of a busy link, shape (samples,), complex64, unit power while on.

    Args: data_db is the level of the data packets they answer, None where their sender is not heard; an event of
        `event_s` stays on one channel, then there is a pause.
    """
    out = np.zeros(samples, np.complex64)
    data_s = 8 * (mbps + OVERHEAD_BYTES + payload + 4) / (mbps * 1e6)
    ack_s = 8 * (mbps + OVERHEAD_BYTES) / (mbps * 1e6)
    at = -float(rng.uniform(0, data_s + ack_s))
    stop = at + event_s
    while at < samples / sample_rate_hz:
        if data_db is not None:
            data = packet(rng, sample_rate_hz=sample_rate_hz, payload=payload, mbps=mbps, offset_hz=offset_hz)
            fsk.place(out, data * np.float32(10 ** (data_db / 20)), at, sample_rate_hz)
        answer = packet(rng, sample_rate_hz=sample_rate_hz, payload=0, mbps=mbps, offset_hz=offset_hz)
        fsk.place(out, answer, at + data_s + SPACE_S, sample_rate_hz)
        at += data_s + ack_s + 2 * SPACE_S
        if at > stop:
            at += pause_s
            stop = at + event_s
    return out
