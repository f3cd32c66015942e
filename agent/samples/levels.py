"""Converts between a program's complex float32, 1.0 at full scale, and the radio's int16 pairs."""

import math

import numpy as np

from agent.samples.counts import Counts
from radio.ports import Iq16
from radio.signals.shapes import Cplx

SAMPLE_BYTES = 8
RAIL = 32_767
LOUDEST = 1e4


def decoded(data: bytes | memoryview, counts: Counts) -> Cplx | None:
    """Return a message's samples, shape (n,); None, counted, where its length is no whole number of samples.

    NaN and infinite values become zero and are counted, and magnitudes are limited to `LOUDEST`, so that later
    arithmetic neither gets nor makes an infinity.
    """
    size = len(data) if isinstance(data, bytes) else data.nbytes
    if size % SAMPLE_BYTES:
        counts.malformed += 1
        return None
    rails = np.frombuffer(data, dtype=np.float32)
    if not len(rails):
        return rails.view(np.complex64)
    most, least = float(rails.max()), float(rails.min())
    if not (math.isfinite(most) and math.isfinite(least)):
        wrong = ~np.isfinite(rails).reshape(-1, 2).all(axis=1)
        counts.not_finite += int(wrong.sum())
        rails = np.where(np.repeat(wrong, 2), np.float32(0), rails)
        most, least = float(rails.max()), float(rails.min())
    if max(most, -least) > LOUDEST:
        rails = np.clip(rails, -LOUDEST, LOUDEST)
    return np.ascontiguousarray(rails, dtype=np.float32).view(np.complex64)


def to_codes(samples: Cplx, scale: float) -> Iq16:
    """Return int16 pairs, shape (n, 2), 1.0 at `scale`; values beyond int16 are clipped, which the warden refuses."""
    rails = np.ascontiguousarray(samples).view(np.float32) * np.float32(scale)
    np.clip(rails, -RAIL, RAIL, out=rails)
    np.rint(rails, out=rails)
    return rails.astype(np.int16).reshape(-1, 2)


def from_codes(iq: Iq16, full_scale: int) -> Cplx:
    """Return complex float32, shape (n,), from int16 pairs of shape (n, 2); a full-scale tone has magnitude 1.0."""
    rails = np.ascontiguousarray(iq).reshape(-1) * np.float32(1 / full_scale)
    return rails.view(np.complex64)
