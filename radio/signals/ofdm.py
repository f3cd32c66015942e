"""An LTE-like OFDM downlink: 15 kHz carriers, normal cyclic prefix, QPSK, nulled DC, FDD or a TDD frame pattern."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx, band_limit, raised_cosine, taper_edges, unit_power

if TYPE_CHECKING:
    from numpy.random import Generator  # importing it takes 2 MB, which a node that sends no test waveform saves

SPACING_HZ = 15_000
SYMBOLS_PER_SLOT = 7
SLOTS_PER_FRAME = 20
SUBFRAMES_PER_FRAME = 10
CARRIERS = {1_400_000: 72, 3_000_000: 180, 5_000_000: 300, 10_000_000: 600, 20_000_000: 1200}
"""Occupied sub-carriers by channel bandwidth in Hz (3GPP TS 36.104, table 5.6-1, at 12 carriers a resource block)."""
TDD_PATTERN = "DSUUDDSUUD"
"""Uplink-downlink configuration 1 (3GPP TS 36.211, table 4.2-2): D sends, S sends 10 of its 14 symbols, U is silent."""
SPECIAL_SYMBOLS_ON = 10
WINDOW_FRACTION = 0.4
"""The share of the shortest cyclic prefix over which neighbouring symbols cross-fade."""


class Duplex(Enum):
    """Whether the transmitter is always on (FDD), or follows the TDD frame."""

    FDD = "fdd"
    TDD = "tdd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerology:
    """Sizes in samples: `fft`, the first and the other cyclic prefixes of a slot, and the number of carriers."""

    fft: int
    first_prefix: int
    prefix: int
    carriers: int


def numerology(*, sample_rate_hz: int, bandwidth_hz: int) -> Numerology:
    """Return the sizes for a rate; raises ValueError where the rate or the bandwidth has none.

    The rate must be 15 kHz times a multiple of 128, so that both prefixes are whole samples
    (3GPP TS 36.211, table 6.12-1: 160 and 144 samples at 30.72 MS/s), and wide enough for the carriers.
    """
    if bandwidth_hz not in CARRIERS:
        raise ValueError(f"no LTE-like channel of {bandwidth_hz} Hz; there are {sorted(CARRIERS)}")
    fft, rest = divmod(sample_rate_hz, SPACING_HZ)
    if rest or fft % 128 or fft <= CARRIERS[bandwidth_hz]:
        raise ValueError(f"{sample_rate_hz} S/s is not 15 kHz x 128 k, or too slow for {bandwidth_hz} Hz")
    return Numerology(
        fft=fft, first_prefix=160 * fft // 2048, prefix=144 * fft // 2048, carriers=CARRIERS[bandwidth_hz]
    )


def generate(
    rng: "Generator",
    *,
    sample_rate_hz: int,
    bandwidth_hz: int = 10_000_000,
    samples: int | None = None,
    duplex: Duplex = Duplex.FDD,
    loop: bool = False,
) -> Cplx:
    """Return OFDM samples, shape (samples,), complex64, with a mean power of one while the transmitter is on.

    Args:
        rng: where the QPSK data comes from.
        sample_rate_hz: 15 kHz times a multiple of 128.
        bandwidth_hz: channel bandwidth, a key of `CARRIERS`; 90 % of it is occupied (77 % of 1.4 MHz).
        samples: how many; one 10 ms frame if not said.
        duplex: always on, or the TDD frame pattern.
        loop: True to make the end join the beginning (whole frames only matter for TDD); False ramps both edges over
            about 5 us, so that a burst cut to this length stays inside its channel.

    Raises:
        ValueError: the rate or the bandwidth has no LTE-like form.
    """
    sizes = numerology(sample_rate_hz=sample_rate_hz, bandwidth_hz=bandwidth_hz)
    frame = SLOTS_PER_FRAME * sample_rate_hz // 2000
    wanted = frame if samples is None else samples
    frames = -(-wanted // frame)
    stream = _symbols(rng, sizes, frames=frames, duplex=duplex)[:wanted]
    occupied_hz = sizes.carriers * SPACING_HZ / 2
    if not loop:
        stream = taper_edges(stream, edge=sizes.prefix)
    shaped = band_limit(
        stream,
        sample_rate_hz=sample_rate_hz,
        pass_hz=occupied_hz + 60e3,
        stop_hz=max(bandwidth_hz / 2, occupied_hz + 90e3),
    )
    if not loop:
        shaped = taper_edges(shaped, edge=sizes.prefix)
    return _unit_while_on(shaped, sizes, frames, duplex)


def _unit_while_on(iq: Cplx, sizes: Numerology, frames: int, duplex: Duplex) -> Cplx:
    """Scale to unit mean power over the symbols that are on."""
    if duplex is Duplex.FDD:
        return unit_power(iq)
    on = np.repeat(_on_pattern(frames, duplex), _lengths(sizes, frames))[: len(iq)]
    power = float(np.mean(np.abs(iq[on]) ** 2)) if on.any() else 1.0
    return iq * np.float32(1 / np.sqrt(power or 1.0))


def _lengths(sizes: Numerology, frames: int) -> NDArray[np.int64]:
    """Length in samples of each symbol with its cyclic prefix, in order."""
    slot = [sizes.fft + sizes.first_prefix] + [sizes.fft + sizes.prefix] * (SYMBOLS_PER_SLOT - 1)
    return np.array(slot * (SLOTS_PER_FRAME * frames), dtype=np.int64)


def _on_pattern(frames: int, duplex: Duplex) -> NDArray[np.bool_]:
    """Whether each symbol is sent."""
    per_subframe = 2 * SYMBOLS_PER_SLOT
    if duplex is Duplex.FDD:
        return np.ones(frames * SUBFRAMES_PER_FRAME * per_subframe, dtype=bool)
    sent = {"D": per_subframe, "S": SPECIAL_SYMBOLS_ON, "U": 0}
    subframes = [np.arange(per_subframe) < sent[kind] for kind in TDD_PATTERN]
    return np.tile(np.concatenate(subframes), frames)


def _symbols(rng: "Generator", sizes: Numerology, *, frames: int, duplex: Duplex) -> Cplx:
    """Concatenate cross-faded symbols; the last one's tail wraps to the beginning, so the signal is circular."""
    lengths = _lengths(sizes, frames)
    on = _on_pattern(frames, duplex)
    bodies = _bodies(rng, sizes, len(lengths)) * on[:, None].astype(np.float32)
    fade = int(sizes.prefix * WINDOW_FRACTION)
    rise = raised_cosine(fade)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    total = int(lengths.sum())
    out = np.zeros(total + fade, dtype=np.complex64)
    for body, start, length in zip(bodies, starts, lengths, strict=True):
        prefix = int(length) - sizes.fft
        symbol = np.concatenate((body[sizes.fft - prefix :], body, body[:fade]))
        symbol[:fade] *= rise
        symbol[len(symbol) - fade :] *= rise[::-1]
        out[start : start + len(symbol)] += symbol
    out[:fade] += out[total:]
    return out[:total]


def _bodies(rng: "Generator", sizes: Numerology, count: int) -> Cplx:
    """OFDM symbols of random QPSK on the carriers around a nulled DC, in the time domain; shape (count, fft)."""
    half = sizes.carriers // 2
    bits = rng.integers(0, 4, size=(count, sizes.carriers))
    qpsk = np.exp(0.5j * np.pi * (bits + 0.5))
    grid = np.zeros((count, sizes.fft), dtype=np.complex64)
    grid[:, 1 : half + 1] = qpsk[:, :half]
    grid[:, sizes.fft - half :] = qpsk[:, half:]
    return np.fft.ifft(grid, axis=1).astype(np.complex64) * np.float32(sizes.fft / np.sqrt(sizes.carriers))
