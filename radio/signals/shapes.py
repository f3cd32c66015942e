"""What all generators share: unit power, smooth edges, filtering in the frequency domain, conversion to int16."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Cplx: TypeAlias = NDArray[np.complex64]
Iq16: TypeAlias = NDArray[np.int16]


def unit_power(iq: Cplx) -> Cplx:
    """Return the samples scaled to a mean power of one; all-zero samples come back as they are."""
    mean = float(np.mean(iq.real.astype(np.float64) ** 2 + iq.imag.astype(np.float64) ** 2))
    scale = np.float32(1 / np.sqrt(mean)) if mean > 0 else np.float32(1)
    return iq * scale


def raised_cosine(samples: int) -> NDArray[np.float32]:
    """Return a rising half-cosine of that many samples, from just above 0 to just below 1."""
    steps = (np.arange(samples) + 0.5) / max(samples, 1)
    return (0.5 - 0.5 * np.cos(np.pi * steps)).astype(np.float32)


def taper_edges(iq: Cplx, *, edge: int) -> Cplx:
    """Return the samples with the first and the last `edge` of them ramped by a half-cosine."""
    edge = min(edge, len(iq) // 2)
    out = iq.copy()
    ramp = raised_cosine(edge)
    out[:edge] *= ramp
    out[len(out) - edge :] *= ramp[::-1]
    return out


def band_limit(iq: Cplx, *, sample_rate_hz: float, pass_hz: float, stop_hz: float) -> Cplx:
    """Return the samples low-passed, circularly: a half-cosine slope from `pass_hz` to `stop_hz` (one-sided)."""
    offset = np.abs(np.fft.fftfreq(len(iq), 1 / sample_rate_hz))
    slope = np.clip((stop_hz - offset) / (stop_hz - pass_hz), 0, 1)
    spectrum = np.fft.fft(iq) * (0.5 - 0.5 * np.cos(np.pi * slope))
    return np.fft.ifft(spectrum).astype(np.complex64)


def to_iq16(iq: Cplx, *, full_scale: int, backoff_db: float) -> Iq16:
    """Return int16 pairs, shape (n, 2), with unit power placed `backoff_db` below a full-scale carrier.

    Peaks beyond full scale are clipped on each rail, as a DAC does.
    """
    rms = full_scale * 10 ** (-backoff_db / 20)
    rails = np.ascontiguousarray(iq, dtype=np.complex64).view(np.float32).reshape(-1, 2) * np.float32(rms)
    codes: Iq16 = np.clip(np.rint(rails), -full_scale, full_scale - 1).astype(np.int16)
    return codes
