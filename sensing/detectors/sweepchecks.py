"""Checks whether a train's sweeps are a radar's: one sweep in all pulses, with the traffic beneath still present.

Symbols of data look like a sweep now and then, each like another one. A reference symbol of a cell is one sweep, or
several side by side, the same each time, but it stands in the place of the cell's data: take it out, and nothing is
left there.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.intrapulse import Compressed, Wave, swept_samples

LIKE_MIN: Final = 0.8
"""Least share, of the energy its own sweep explains, that another pulse's sweep explains; radars had over 0.93."""
LEFT_MIN: Final = 0.5
"""Least share of the traffic's power that must remain without the sweep; nine in ten radar pulses had over 0.6."""
NEPERS_MIN: Final = 46.0
"""Least evidence in nepers of all sweeps of a train over traffic together: for each of two pulses 13 for the sweeps
tried, 7 for the pairs of pulses in a second, 13 for 100 hours."""
PARALLEL_SHARE, PARALLEL_OVER = 0.1, 18.0
"""Least energy of a second sweep, as a share of the first one's and as a ratio to the mean beside it in frequency: of
500 pulses of radars under traffic none reached a ratio of 17.2."""
PARALLEL_APART, PARALLEL_US = 0.7, 40.0
"""Spacing in frequency of parallel sweeps: at least so many times the range that one of them covers, at most the range
that it covers in so many microseconds, a long symbol."""
PARALLEL_LEAST, LOCAL = 3.0, 12.0
"""Least distance of a compressed pulse's second line from the first, and the range on each side of the second with
which it is compared; both in line widths."""
WIDER: Final = 1.1
SKIPPED_US, BESIDE_US = 2.0, 10.0
"""Distance from a pulse, and duration, at which the power beside it is measured."""


@dataclass(frozen=True, slots=True)
class Swept:
    """A pulse's samples and its best sweep; `flat` is the same with a flat background."""

    wave: Wave
    sweep: Compressed
    flat: Wave


def swept_pulse(wave: Wave | None, sweep: Compressed) -> Swept | None:
    """A pulse with its sweep; None where there are no samples, or no sweep was fitted."""
    return None if wave is None or not sweep.length_us else Swept(wave, sweep, wave.whitened())


def hold_one_sweep(a: Swept, b: Swept) -> bool:
    """Whether the sweep of one of two pulses explains nearly as much of the other as that pulse's own sweep does.

    One of the two directions is enough: the sweep of a pulse that was cut short is measured badly.
    """
    return any(
        _strongest(other.flat, sweep.sweep)[1] >= LIKE_MIN * _strongest(other.flat, other.sweep)[1]
        for sweep, other in ((a, b), (b, a))
    )


def stands_for_itself(pulse: Swept, *, over: bool) -> bool:
    """Whether one pulse by itself may be a radar's: one sweep alone, beneath which the traffic goes on.

    Args: over is whether traffic lies in the pulse's band.
    """
    if has_parallel(pulse):
        return False
    left, beside = left_of_traffic(pulse) if over else (1.0, 1.0)
    return left >= LEFT_MIN * beside


def has_parallel(pulse: Swept) -> bool:
    """Whether parallel sweeps of the same slope lie beside a pulse's own in frequency.

    A Zadoff-Chu sequence of root u on n carriers is u sweeps at once, each of which moves a u-th of the band in a
    symbol. With the pulse's own sweep taken out of the samples each of them is a line; traffic and noise are none.
    """
    wave, sweep = pulse.flat, pulse.sweep
    first, _ = _strongest(wave, sweep)
    samples = swept_samples(sweep, wave.rate_hz)
    turned = wave.iq[first : first + len(samples)]
    turned = turned * np.conj(samples[: len(turned)])
    size = 1 << int(np.ceil(np.log2(4 * len(turned))))
    power = np.abs(np.fft.fft(turned, size)) ** 2
    off_hz = np.abs(np.fft.fftfreq(size, 1 / wave.rate_hz))
    line_hz = 1e6 / sweep.length_us
    near_hz = max(PARALLEL_LEAST * line_hz, PARALLEL_APART * abs(sweep.slope_mhz_per_us) * sweep.length_us * 1e6)
    far = (off_hz >= near_hz) & (off_hz <= abs(sweep.slope_mhz_per_us) * PARALLEL_US * 1e6)
    at = int(np.where(far, power, 0.0).argmax())
    if not far[at] or power[at] < PARALLEL_SHARE * float(power[off_hz < line_hz].max()):
        return False
    # Bins on both sides of the line, without the two nearest.
    line = line_hz * size / wave.rate_hz
    around = np.arange(round(2 * line), round((2 + LOCAL) * line))
    beside = power[np.concatenate((at - around, at + around)) % size]
    return bool(power[at] >= PARALLEL_OVER * float(beside.mean()))


def left_of_traffic(pulse: Swept) -> tuple[float, float]:
    """Power left in a pulse without its sweep, and the larger of the powers just before and after the pulse."""
    wave, sweep = _in_band(pulse.wave, pulse.sweep), pulse.sweep
    first, energy = _strongest(wave, sweep)
    power = np.abs(wave.iq) ** 2
    long, skipped, beside = (_samples(wave, us) for us in (sweep.length_us, SKIPPED_US, BESIDE_US))
    before = power[max(0, first - skipped - beside) : max(0, first - skipped)]
    after = power[first + long + skipped : first + long + skipped + beside]
    left = float(power[first : first + long].mean()) - energy / long
    return left, max((float(one.mean()) for one in (before, after) if one.size), default=0.0)


def _samples(wave: Wave, us: float) -> int:
    return max(2, round(us * wave.rate_hz / 1e6))


def _in_band(wave: Wave, sweep: Compressed) -> Wave:
    """The samples filtered to the band of a sweep."""
    width_hz = WIDER * abs(sweep.slope_mhz_per_us) * sweep.length_us * 1e6 + 1e6 / sweep.length_us
    off_hz = np.fft.fftfreq(len(wave.iq), 1 / wave.rate_hz) - sweep.tone_hz
    off_hz = (off_hz + wave.rate_hz / 2) % wave.rate_hz - wave.rate_hz / 2
    kept = np.fft.ifft(np.fft.fft(wave.iq) * (np.abs(off_hz) < width_hz / 2))
    return Wave(iq=kept.astype(np.complex64), rate_hz=wave.rate_hz, first=wave.first, last=wave.last, under=wave.under)


def _strongest(wave: Wave, sweep: Compressed) -> tuple[int, float]:
    """The first sample of the sweep part that explains most of a pulse, and the energy it explains."""
    samples = swept_samples(sweep, wave.rate_hz)
    n = len(samples)
    size = 1 << int(np.ceil(np.log2(len(wave.iq) + n)))
    wanted = np.conj(np.fft.fft(samples, size))
    sums: NDArray[np.complex128] = np.fft.ifft(np.fft.fft(wave.iq, size) * wanted)
    begin = min(max(0, wave.first - n), max(0, len(wave.iq) - n))
    tried = np.abs(sums[begin : max(begin + 1, min(wave.last, len(wave.iq) - n + 1))]) ** 2
    at = int(tried.argmax())
    return begin + at, float(tried[at]) / n
