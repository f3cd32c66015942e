"""Generates a lightly loaded 5G TDD cell: some data, and users whose transmissions begin with a frequency sweep.

Source: 3GPP TS 38.211 (numerology 4.2-4.3, demodulation reference of a shared channel with transform precoding in
6.4.1.1.1.2: a Zadoff-Chu sequence, which is a sweep in time as well).
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from radio.signals.shapes import Cplx, raised_cosine
from sim.waveforms.nr import PER_BLOCK, SYMBOLS, NrNumerology

Grid = NDArray[np.complex64]
ROOT = 3
"""Root of the Zadoff-Chu sequence: it sweeps across its blocks three times in a symbol."""
USERS = 2
WIDEST = 1.5
"""Largest extent of resource blocks, as a multiple of a narrower receiver's band."""


def generate(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    mu: int = 1,
    blocks: int = 51,
    load: float = 0.2,
    pattern: str = "DDDSU",
    special: int = 6,
) -> Cplx:
    """Return so many samples of the cell, shape (samples,), complex64, unit power where every block is in use.

    Args: pattern of slots (38.213, 11.1), of S slots `special` symbols are downlink; load is the chance that a block
        carries data in a downlink slot. An uplink slot holds up to two users, each on blocks and symbols of its own.
    """
    spacing_hz = NrNumerology(mu=mu).spacing_hz
    size = 1 << int(np.ceil(np.log2(sample_rate_hz / spacing_hz)))
    native_hz = size * spacing_hz
    held = min(blocks, int(WIDEST * sample_rate_hz / spacing_hz / PER_BLOCK))
    slots = int(samples / sample_rate_hz / NrNumerology(mu=mu).slot_s) + 3
    phase = int(rng.integers(len(pattern)))
    grid = np.zeros((slots * SYMBOLS, held * PER_BLOCK), np.complex64)
    for slot in range(slots):
        kind = pattern[(slot + phase) % len(pattern)]
        rows = grid[slot * SYMBOLS : (slot + 1) * SYMBOLS]
        if kind == "U":
            _uplink(rng, rows)
        else:
            _downlink(rng, rows[: SYMBOLS if kind == "D" else special], load)
    wave = _sent(grid, size) * np.float32(1 / np.sqrt(grid.shape[1]))
    ratio = Fraction(sample_rate_hz / native_hz).limit_denominator(1000)
    if ratio != 1:
        wave = resample_poly(wave, ratio.numerator, ratio.denominator).astype(np.complex64)
    begin = int(rng.integers(int(NrNumerology(mu=mu).slot_s * sample_rate_hz)))
    part: Cplx = wave[begin : begin + samples]
    return part


def _qpsk(rng: np.random.Generator, shape: Sequence[int]) -> Grid:
    values: Grid = np.exp(0.5j * np.pi * (rng.integers(0, 4, shape) + 0.5)).astype(np.complex64)
    return values


def _downlink(rng: np.random.Generator, rows: Grid, load: float) -> None:
    """Data on some blocks of a slot, control on a third of the blocks in its first symbol; sometimes nothing."""
    if rng.random() > 0.3 + load:
        return
    blocks = rows.shape[1] // PER_BLOCK
    rows[:] = _qpsk(rng, rows.shape) * np.repeat(rng.random(blocks) < load, PER_BLOCK)
    rows[0] = _qpsk(rng, rows.shape[1:]) * np.repeat(rng.random(blocks) < 0.3, PER_BLOCK)


def _uplink(rng: np.random.Generator, rows: Grid) -> None:
    """Users with data, each after a symbol that is a frequency sweep."""
    blocks = rows.shape[1] // PER_BLOCK
    for _ in range(int(rng.integers(0, USERS + 1))):
        wide = int(rng.integers(1, max(2, blocks // 2)))
        at = int(rng.integers(0, blocks - wide + 1)) * PER_BLOCK
        long = int(rng.integers(2, SYMBOLS + 1))
        first = int(rng.integers(0, SYMBOLS + 1 - long))
        count = wide * PER_BLOCK
        data = np.fft.fft(_qpsk(rng, (long, count)), axis=1) / np.sqrt(count)
        index = np.arange(count) % (count - 1)
        data[0] = np.exp(-1j * np.pi * ROOT * index * (index + 1) / (count - 1))
        rows[first : first + long, at : at + count] = data


def _sent(grid: Grid, size: int) -> Cplx:
    """Symbols to time, `size` samples each and a prefix of 9/128, their edges crossing over a fiftieth of a symbol."""
    numbers = np.arange(grid.shape[1]) - grid.shape[1] // 2
    kept = np.abs(numbers) < size // 2
    full = np.zeros((len(grid), size), np.complex64)
    full[:, numbers[kept] % size] = grid[:, kept]
    bodies = (np.fft.ifft(full, axis=1) * size).astype(np.complex64)
    prefix, fade = round(size * 9 / 128), max(1, size // 50)
    rise = raised_cosine(fade)
    wave = np.zeros(len(grid) * (size + prefix) + fade, np.complex64)
    for number, body in enumerate(bodies):
        symbol = np.concatenate((body[size - prefix :], body, body[:fade]))
        symbol[:fade] *= rise
        symbol[-fade:] *= rise[::-1]
        wave[number * (size + prefix) :][: len(symbol)] += symbol
    return wave
