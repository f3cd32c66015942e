"""Wi-Fi-like bursts: 802.11a-shaped OFDM packets of random length with random gaps."""

import numpy as np

from radio.signals.shapes import Cplx, taper_edges

SPACING_HZ = 312_500
CARRIERS = 52
"""Occupied sub-carriers around a nulled DC (IEEE 802.11-2020, 17.3.2.3)."""
PREFIX_FRACTION = 4
"""The guard interval is a quarter of the useful symbol."""


def generate(
    rng: np.random.Generator,
    *,
    sample_rate_hz: int,
    samples: int,
    symbols_low: int = 10,
    symbols_high: int = 250,
    duty: float = 0.3,
) -> Cplx:
    """Return bursts with gaps between them, shape (samples,), complex64, unit mean power inside a burst.

    Args:
        rng: where data, lengths and gaps come from.
        sample_rate_hz: a multiple of 1.25 MHz, at least 20 MHz.
        samples: how many.
        symbols_low: shortest packet in OFDM symbols of 4 us.
        symbols_high: longest packet.
        duty: mean share of time that is busy, above 0, at most 1; gaps are exponential.

    Raises:
        ValueError: the rate has no whole symbol, or the duty is outside (0, 1].
    """
    fft, rest = divmod(sample_rate_hz, SPACING_HZ)
    if rest or fft < 64 or fft % PREFIX_FRACTION:
        raise ValueError(f"{sample_rate_hz} S/s is not a multiple of 1.25 MHz from 20 MHz up")
    if not 0 < duty <= 1:
        raise ValueError(f"duty is {duty}, it must be above 0 and at most 1")
    symbol = fft + fft // PREFIX_FRACTION
    gap_mean = (symbols_low + symbols_high) / 2 * symbol * (1 - duty) / duty
    out = np.zeros(samples, dtype=np.complex64)
    at = int(rng.exponential(gap_mean))
    while at < samples:
        packet = _packet(rng, fft, int(rng.integers(symbols_low, symbols_high + 1)))
        fits = min(len(packet), samples - at)
        out[at : at + fits] = packet[:fits]
        at += len(packet) + int(rng.exponential(gap_mean))
    return out


def _packet(rng: np.random.Generator, fft: int, symbols: int) -> Cplx:
    """One packet of QPSK symbols with its edges ramped over 0.1 us."""
    half = CARRIERS // 2
    qpsk = np.exp(0.5j * np.pi * (rng.integers(0, 4, size=(symbols, CARRIERS)) + 0.5))
    grid = np.zeros((symbols, fft), dtype=np.complex64)
    grid[:, 1 : half + 1] = qpsk[:, :half]
    grid[:, fft - half :] = qpsk[:, half:]
    body = np.fft.ifft(grid, axis=1).astype(np.complex64) * np.float32(fft / np.sqrt(CARRIERS))
    with_prefix = np.concatenate((body[:, fft - fft // PREFIX_FRACTION :], body), axis=1)
    return taper_edges(with_prefix.reshape(-1), edge=fft // 32)
