"""Impulses of switching power supplies, and carriers with lost sample buffers.

Source: CISPR 16-1-1, 4 (impulsive disturbance: damped oscillation at each switching edge); the lost buffers are those
of a receiver whose host is late, 1024 samples at 1 MS/s and their like.
"""

import numpy as np

from radio.signals.shapes import Cplx


def pwm(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    period_s: float = 1e-3,
    duty: float = 0.3,
    ring_hz: float = 0.0,
    decay_s: float = 0.6e-6,
    jitter_s: float = 0.0,
    both_edges: bool = False,
) -> Cplx:
    """Return a damped oscillation at every rising edge, shape (samples,), complex64, unit peak.

    Args: ring_hz is the resonance from the centre of the band; both_edges adds the falling ones, half as strong.
    """
    out = np.zeros(samples, np.complex64)
    count = max(4, int(8 * decay_s * sample_rate_hz))
    at = float(rng.uniform(0, period_s))
    while at < samples / sample_rate_hz:
        begin = at + float(rng.normal(0, jitter_s)) if jitter_s else at
        for offset, height in ((0.0, 1.0), (duty * period_s, 0.5)) if both_edges else ((0.0, 1.0),):
            first = int(np.ceil((begin + offset) * sample_rate_hz))
            if not 0 <= first < samples:
                continue
            t = np.arange(first, min(samples, first + count)) / sample_rate_hz - begin - offset
            ring = np.exp(-t / decay_s + 2j * np.pi * (ring_hz * t + rng.uniform()))
            out[first : first + len(t)] += (height * ring).astype(np.complex64)
        at += period_s
    return out


def dropping(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    period_s: float = 1.024e-3,
    lost_s: float = 0.05e-3,
    offset_hz: float = 0.1e6,
    zeros: bool = False,
) -> Cplx:
    """Return a carrier of unit power of which `lost_s` is missing every `period_s`, shape (samples,), complex64.

    Args: zeros leaves the missing samples in as zeros, otherwise the carrier's phase jumps where they were.
    """
    t = np.arange(samples) / sample_rate_hz
    begin = float(rng.uniform(0, period_s))
    turn = (t + begin) // period_s
    if zeros:
        out: Cplx = np.exp(2j * np.pi * offset_hz * t).astype(np.complex64)
        out[(t + begin) % period_s < lost_s] = 0
        return out
    wave: Cplx = np.exp(2j * np.pi * offset_hz * (t + turn * lost_s)).astype(np.complex64)
    return wave
