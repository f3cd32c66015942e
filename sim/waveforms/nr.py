"""5G NR signals that come in pulses: uplink control, sounding, synchronisation blocks, lightly loaded TDD.

Source: 3GPP TS 38.211 (numerology 4.2-4.3, PUCCH format 0 in 6.3.2.3, sounding reference signals in 6.4.1.4,
SS/PBCH blocks in 7.4.3) and TS 38.213, 4.1 (places of the blocks), normal cyclic prefix.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radio.signals.shapes import Cplx
from sim.waveforms.multicarrier import Carriers, add_symbol

PER_BLOCK = 12
"""Sub-carriers of a resource block (38.211, 4.4.4.1)."""
SYMBOLS = 14
PREFIX_SHARE = 144 / 2048
"""Cyclic prefix as a share of the useful symbol; the longer prefix twice per ms is omitted, slots stay on raster."""
SSB_FIRST_SYMBOLS = (4, 8, 16, 20)
"""First symbols of SS/PBCH blocks in the first two slots at 30 kHz, case B up to 3 GHz (38.213, 4.1)."""
SSB_BLOCKS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NrNumerology:
    """Carrier spacing of 15 kHz times two to the `mu`."""

    mu: int = 1

    @property
    def spacing_hz(self) -> float:
        """Spacing of neighbouring sub-carriers."""
        return 15e3 * (1 << self.mu)

    @property
    def slot_s(self) -> float:
        """Duration of a slot of 14 symbols."""
        return 1e-3 / (1 << self.mu)

    @property
    def symbol_s(self) -> float:
        """Duration of a symbol with its prefix: 35.7 us at 30 kHz."""
        return self.slot_s / SYMBOLS


def pucch(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    period_s: float = 2.5e-3,
    offset_hz: float = 0.0,
    mu: int = 1,
    blocks: int = 1,
) -> Cplx:
    """Return one-symbol uplink control (format 0) every `period_s`, shape (samples,), complex64, unit power while on.

    Each is a length-12 sequence of constant magnitude with a random cyclic shift on one resource block.
    """
    base = np.exp(0.25j * np.pi * (2 * rng.integers(0, 4, PER_BLOCK * blocks) + 1))

    def one() -> Carriers:
        shift = int(rng.integers(PER_BLOCK))
        values: Carriers = base * np.exp(2j * np.pi * shift * np.arange(len(base)) / PER_BLOCK)
        return values

    first = round(offset_hz / NrNumerology(mu=mu).spacing_hz) - PER_BLOCK * blocks // 2
    return _pulsed(rng, one, sample_rate_hz=sample_rate_hz, samples=samples, period_s=period_s, first=first, mu=mu)


def srs(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    period_s: float = 1e-3,
    offset_hz: float = 0.0,
    blocks: int = 16,
    comb: int = 2,
    mu: int = 1,
) -> Cplx:
    """Return one-symbol sounding every `period_s`, shape (samples,), complex64, unit power while on.

    A Zadoff-Chu sequence, the same each time, on every `comb`-th carrier of `blocks` resource blocks.
    """
    length = PER_BLOCK * blocks // comb
    root = int(rng.integers(1, length))
    index = np.arange(length)
    values = np.zeros(length * comb, np.complex128)
    values[::comb] = np.exp(-1j * np.pi * root * index * (index + 1) / length)
    first = round(offset_hz / NrNumerology(mu=mu).spacing_hz) - len(values) // 2
    return _pulsed(
        rng, lambda: values, sample_rate_hz=sample_rate_hz, samples=samples, period_s=period_s, first=first, mu=mu
    )


def ssb(
    rng: np.random.Generator, *, sample_rate_hz: float, samples: int, period_s: float = 20e-3, beams: int = 4
) -> Cplx:
    """Return synchronisation blocks of four symbols, `beams` of them every `period_s`, at 30 kHz and 7.2 MHz wide.

    Shape (samples,), complex64, unit power while on. The primary signal is 127 carriers wide, the rest 240.
    """
    grid = NrNumerology(mu=1)
    out = np.zeros(samples, np.complex64)
    at = -float(rng.uniform(0, period_s))
    while at < samples / sample_rate_hz:
        for begin in SSB_FIRST_SYMBOLS[:beams]:
            for number in range(4):
                narrow = number == 0
                width = 127 if narrow else PER_BLOCK * SSB_BLOCKS
                _add(
                    out, sample_rate_hz, at + (begin + number) * grid.symbol_s, grid, (-(width // 2), _qpsk(rng, width))
                )
        at += period_s
    return out


def tdd(
    rng: np.random.Generator,
    *,
    sample_rate_hz: float,
    samples: int,
    blocks: int = 24,
    pattern: str = "DDDDDDDSUU",
    load: float = 0.2,
    mu: int = 1,
) -> Cplx:
    """Return a lightly loaded TDD downlink, shape (samples,), complex64, unit power at full load.

    Args: pattern of slots (D sends, S sends 6 of its 14 symbols, U is silent; 38.213, 11.1); load is the chance that a
        resource block of a slot carries data. Control goes out in the first symbol of each downlink slot.
    """
    grid = NrNumerology(mu=mu)
    out = np.zeros(samples, np.complex64)
    slots = int(samples / sample_rate_hz / grid.slot_s) + 2
    phase = int(rng.integers(len(pattern)))
    at = -float(rng.uniform(0, grid.slot_s))
    carriers = PER_BLOCK * blocks
    for slot in range(slots):
        kind = pattern[(slot + phase) % len(pattern)]
        sent = {"D": SYMBOLS, "S": 6, "U": 0}[kind]
        busy = np.repeat(rng.random(blocks) < load, PER_BLOCK)
        for symbol in range(sent):
            on = np.ones(carriers) if symbol == 0 else busy
            values = _qpsk(rng, carriers) * on
            if on.any():
                _add(out, sample_rate_hz, at + symbol * grid.symbol_s, grid, (-carriers // 2, values))
        at += grid.slot_s
    return out


def _qpsk(rng: np.random.Generator, count: int) -> Carriers:
    values: Carriers = np.exp(0.5j * np.pi * (rng.integers(0, 4, count) + 0.5)) / np.sqrt(count)
    return values


def _pulsed(
    rng: np.random.Generator,
    make: Callable[[], Carriers],
    *,
    sample_rate_hz: float,
    samples: int,
    period_s: float,
    first: int,
    mu: int,
) -> Cplx:
    grid = NrNumerology(mu=mu)
    out = np.zeros(samples, np.complex64)
    at = float(rng.uniform(0, period_s))
    while at < samples / sample_rate_hz:
        values = make()
        _add(out, sample_rate_hz, at, grid, (first, values / np.sqrt(np.sum(np.abs(values) ** 2))))
        at += period_s
    return out


def _add(out: Cplx, rate_hz: float, at_s: float, grid: NrNumerology, carriers: tuple[int, Carriers]) -> None:
    first, values = carriers
    useful = 1 / grid.spacing_hz
    add_symbol(
        out, sample_rate_hz=rate_hz, start_s=at_s, useful_s=useful, prefix_s=grid.symbol_s - useful,
        spacing_hz=grid.spacing_hz, first=first, values=values,
    )  # fmt: skip
