"""Finds further pulses of a known sweep by correlation, where no single time-frequency cell stands out.

Over traffic one pulse of a burst is found by its cells and the next one is not: what traffic adds to a cell is a matter
of chance. The correlation with the sweep collects all of its energy. Once one pulse is known, so are the slope, the
frequency and the length of the others, and how rarely noise makes such a pulse follows from its correlation.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.intrapulse import Compressed, swept, swept_samples
from sensing.detectors.pulse import Pulse, over_traffic, same_pulse, wave_of
from sensing.frontend import Iq, flat_samples

DURATION_US: Final = (6.5, 36.0)
SLOPE_MHZ_PER_US: Final = (0.02, 1.3)
BESIDE_SHARE: Final = 0.25
"""A pulse with a larger share of its power just before or after it is a part of something longer."""
SWEEPS_MOST: Final = 3
"""Most sweeps in a piece of samples for which further pulses are searched."""
PIECE_SHARE: Final = 0.3
"""A pulse whose length differs by more than this share from a similar one was cut, or joined with another signal."""
SHARE_MIN: Final = 0.5
SEEN: Final = 15.0
"""Evidence of a pulse's cells, in nepers, below which noise makes too many such pulses: none of those is compressed."""
SURE: Final = 30.0
"""Least evidence in nepers of a sweep to search others like it; a pulse of 20 dB over traffic of 12 dB has 48."""
LIKE: Final = 18.0
"""Least evidence in nepers of a further pulse like a known sweep."""
REACH_US: Final = 3500.0
"""Longest time searched around a sweep, us: the longest interval of the class and a little more."""
APART_US: Final = 300.0
"""Least interval between two pulses of a radar, us."""
MOST: Final = 12
LOCAL_US: Final = 100.0
"""Time in us over which the background level beside a pulse is measured."""
MARGIN: Final = 1.3
"""Width of the searched band, as a multiple of the sweep's."""
Powers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSweep:
    """A sweep found at `time_us`, the result of compressing it, and its background.

    `late_us` is how much later than `time_us` its correlation peaks, `power` how high.
    """

    time_us: float
    inside: Compressed
    under: NDArray[np.float32]
    late_us: float = 0.0
    power: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeSweep:
    """A pulse like a known sweep: its time, its evidence in nepers, and how much stronger it is."""

    time_us: float
    nepers: float
    stronger_db: float


def with_like_sweeps(pulses: list[Pulse], iq: Iq, *, rate_hz: float) -> list[Pulse]:
    """The pulses with those added that are like a known sweep; fragments of the added ones are removed."""
    asked = 0
    for one in sorted(pulses, key=lambda p: -p.nepers):
        if asked == SWEEPS_MOST:
            break
        sweep = _sweep(one) if one in pulses else None
        if sweep is None:
            continue
        asked += 1
        from_us = max(0.0, one.time_us - REACH_US)
        some = slice(round(from_us * rate_hz / 1e6), round((one.time_us + REACH_US) * rate_hz / 1e6))
        part = flat_samples(iq[some]).astype(np.float32).view(np.complex64)
        sweep, found = like_sweeps(sweep, part, rate_hz=rate_hz, from_us=from_us)
        length = round(sweep.inside.length_us * rate_hz / 1e6)
        for like in found:
            first = round((like.time_us + sweep.late_us - sweep.inside.length_us / 2) * rate_hz / 1e6)
            if first > 0 and first + length < len(iq):
                wave = wave_of(iq, (first, first + length), rate_hz=rate_hz, under=sweep.under)
                level_db = None if one.level_db is None else one.level_db + like.stronger_db
                another = replace(
                    one, time_us=like.time_us, snr_db=one.snr_db + like.stronger_db, nepers=like.nepers,
                    level_db=level_db, wave=wave,
                )  # fmt: skip
                pulses = _joined(pulses, another)
    return pulses


def _joined(pulses: list[Pulse], like: Pulse) -> list[Pulse]:
    """The pulses with one found by correlation in place of its fragments; unchanged if it is known already."""
    same = [p for p in pulses if same_pulse(p, like)]
    if any(abs(p.duration_us - like.duration_us) < PIECE_SHARE * like.duration_us for p in same):
        return pulses
    return [*(p for p in pulses if p not in same), like]


def _sweep(one: Pulse) -> KnownSweep | None:
    """The sweep of a pulse that surely is one and may have undetected neighbours; None otherwise."""
    steep = SLOPE_MHZ_PER_US[0] <= abs(one.slope_mhz_per_us) <= SLOPE_MHZ_PER_US[1]
    if one.wave is None or not steep or not DURATION_US[0] <= one.duration_us <= DURATION_US[1]:
        return None
    if one.nepers < SEEN or one.beside > BESIDE_SHARE or not over_traffic(one):
        return None
    inside = swept(
        one.wave, centre_hz=(one.low_hz + one.high_hz) / 2, slope_mhz_per_us=one.slope_mhz_per_us,
        width_hz=one.high_hz - one.low_hz, roomy=True,
    )  # fmt: skip
    if inside.share < SHARE_MIN or inside.nepers < SURE:
        return None
    return KnownSweep(time_us=one.time_us, inside=inside, under=one.wave.under)


def like_sweeps(
    sweep: KnownSweep, iq: NDArray[np.complex64], *, rate_hz: float, from_us: float
) -> tuple[KnownSweep, list[LikeSweep]]:
    """The sweep with its own correlation peak noted, and the pulses like it in samples that begin at `from_us`."""
    power, step_us = _correlated(sweep.inside, sweep.under, iq, rate_hz)
    nepers = power / _local(power, max(8, round(LOCAL_US / step_us)))
    times = from_us + step_us * np.arange(len(power))
    near = np.flatnonzero(np.abs(times - sweep.time_us) < sweep.inside.length_us / 2 + DURATION_US[0])
    if len(near) == 0:
        return sweep, []
    at = int(near[power[near].argmax()])
    sweep = replace(sweep, late_us=float(times[at]) - sweep.time_us, power=float(power[at]))
    apart = max(1, round(APART_US / step_us))
    open_ = (nepers >= LIKE) & (np.abs(times - sweep.late_us - sweep.time_us) >= APART_US)
    found: list[LikeSweep] = []
    while open_.any() and len(found) < MOST:
        at = int(np.where(open_, nepers, 0).argmax())
        ratio = float(power[at]) / max(sweep.power, 1e-30)
        found.append(
            LikeSweep(
                time_us=float(times[at]) - sweep.late_us,
                nepers=float(nepers[at]),
                stronger_db=10 * float(np.log10(ratio)),
            )
        )
        open_[max(0, at - apart) : at + apart] = False
    return sweep, found


def _correlated(
    inside: Compressed, under: NDArray[np.float32], iq: NDArray[np.complex64], rate_hz: float
) -> tuple[Powers, float]:
    """Powers of the samples' correlation with a sweep, over a flat background; and the spacing of the values, us."""
    half = inside.length_us * 1e-6 / 2
    samples = swept_samples(inside, rate_hz)
    size = 1 << int(np.ceil(np.log2(len(iq) + len(samples))))
    spectrum = np.fft.fft(iq, size)
    wanted = np.conj(np.fft.fft(samples.astype(np.complex64), size))
    width = MARGIN * (abs(inside.slope_mhz_per_us) * 1e12 * 2 * half + 2 / half)
    kept = min(size, 1 << int(np.ceil(np.log2(width / rate_hz * size))))
    bins = round(inside.tone_hz / rate_hz * size) + np.arange(kept) - kept // 2
    gain = np.ones(kept)
    if len(under):
        centres = (np.arange(len(under)) - len(under) // 2) / len(under)
        floor = float(np.quantile(under, 0.25))
        gain = np.interp(bins / size, centres, floor / np.maximum(under, max(floor, 1e-30)))
    both = np.fft.ifft(spectrum[bins % size] * wanted[bins % size] * gain)
    step_us = size / kept / rate_hz * 1e6
    last = max(1, int(len(iq) / rate_hz * 1e6 / step_us))
    # The peak lies at the sweep's beginning; its middle is half its length later.
    middle = round(half * 1e6 / step_us)
    powers: Powers = np.roll(np.abs(both) ** 2, middle)[:last]
    return powers, step_us


def _local(power: Powers, wide: int) -> Powers:
    """The local mean level of each power, by medians of stretches: the larger of its own and its neighbours'."""
    count = max(1, len(power) // wide)
    some = power[: count * wide].reshape(count, -1) if len(power) >= wide else power[None]
    level = np.maximum(np.median(some, axis=1) / np.log(2), 1e-30)
    padded = np.pad(level, 1, mode="edge")
    level = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    each: Powers = np.repeat(level, wide)[: len(power)]
    return np.concatenate((each, np.full(len(power) - len(each), level[-1])))
