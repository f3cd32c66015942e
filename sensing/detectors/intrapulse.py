"""Intra-pulse analysis: the share of a pulse's energy that one radar waveform explains, by pulse compression.

A radar sends the same simple thing in every pulse: a carrier, a sweep, four chips of a Barker code. Compressed with the
right one of these nearly all the energy of a pulse falls into one cell; data, sounding sequences, keyed sensors and the
edges of other signals keep most of theirs spread out, however they are compressed.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Iq64 = NDArray[np.complex64]

CODES: Final = ((1, 1, -1, 1), (1, 1, 1, -1), (1, -1, 1, 1), (-1, 1, 1, 1))
"""Barker codes of four chips (M. Skolnik, Radar Handbook), in both directions."""
CHIPS: Final = 4
CODED_RATE_HZ: Final = 2e6
SWEPT_RATE_HZ: Final = 16e6
BENDS: Final = (0.0, 0.12, 0.25, 0.4, 0.55)
"""Cubic shares b of a non-linear sweep (NTIA TM-18-534): frequency at time u from -1 to 1 is (1 - b) u + b u^3."""
SLOPE_ROOM: Final = 0.3
SLOPE_ROOM_MOST, SLOPE_OFF_HZ = 0.5, 0.6e6
"""Largest error of a path's slope: a share of the slope, and Hz from its first to its last frequency."""
PRODUCT: Final = 150.0
HALF_PRODUCT: Final = 6.0
HALF_WORTH: Final = 0.85
ENOUGH: Final = 0.8
"""A share of explained energy beyond which no better waveform is searched."""
NOISE_SHARE_MAX: Final = 0.95
PLAIN_MARGIN: Final = 1.1
"""Factor by which a code must explain more of a pulse than a bare carrier does."""
IMPULSE_MARGIN: Final = 1.25
"""Factor by which a sweep must explain more of a pulse than an impulse does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """The samples around a pulse, which lasts from index `first` to `last` of `iq`, shape (n,), complex64.

    `under` (bins,) is the background's power across the band, lowest frequency first, empty where it is flat.
    """

    iq: Iq64
    rate_hz: float
    first: int
    last: int
    under: NDArray[np.float32]

    def whitened(self) -> "Wave":
        """The same samples with a flat background: steady strong signals elsewhere in the band are notched out."""
        if len(self.under) == 0:
            return self
        n = len(self.iq)
        centres = (np.arange(len(self.under)) - len(self.under) // 2) / len(self.under)
        floor = float(np.quantile(self.under, 0.25))
        gain = np.sqrt(floor / np.maximum(self.under, floor))
        spectrum = np.fft.fft(self.iq) * np.interp(np.fft.fftfreq(n), centres, gain)
        return replace(self, iq=np.fft.ifft(spectrum).astype(np.complex64), under=self.under[:0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """The best of the waveforms tried: the share of the pulse's energy it explains (0 to 1), and its parameters.

    `duration_us` of coded pulses, `slope_mhz_per_us` of swept ones; the other is 0. Of swept ones also: `nepers`, the
    log of how many tries of that one waveform it takes noise to compress as well; `level_db`, the sweep's own power in
    squared units of the samples, whatever it lies over; `tone_hz`, its frequency in the middle of the `length_us` that
    were compressed.
    """

    share: float
    duration_us: float = 0.0
    slope_mhz_per_us: float = 0.0
    bend: float = 0.0
    nepers: float = 0.0
    level_db: float = -99.0
    tone_hz: float = 0.0
    length_us: float = 0.0


NOTHING: Final = Compressed(share=0.0)


def coded(wave: Wave, *, centre_hz: float, duration_us: tuple[float, float]) -> Compressed:
    """How well a four-chip Barker code explains a pulse; NOTHING where a bare carrier explains nearly as much.

    Args: centre_hz: the pulse's offset from the receiver's centre frequency; duration_us: shortest and longest code.
    """
    z, rate, first, last = _narrowed(wave, centre_hz, CODED_RATE_HZ)
    noise = _noise(z, first, last)
    length = last - first
    shortest, longest = (duration_us[0] * rate / 1e6, duration_us[1] * rate / 1e6)
    lengths = np.unique(np.rint(np.linspace(max(shortest, 0.75 * length), min(longest, 1.25 * length + 4), 14)))
    lengths = lengths[lengths >= 2 * CHIPS].astype(np.int64)
    if len(lengths) == 0:
        return NOTHING
    step = rate / lengths[-1] / 3
    shifts = np.arange(-0.35e6, 0.35e6 + step, step)
    turned = z * np.exp(-2j * np.pi * shifts[:, None] / rate * np.arange(len(z)))
    sums = np.concatenate((np.zeros((len(shifts), 1)), np.cumsum(turned, axis=1)), axis=1)
    energy = np.concatenate(([0.0], np.cumsum(np.abs(z) ** 2)))
    best, plain = NOTHING, 0.0
    for n in lengths:
        starts = np.arange(max(0, first - 4), min(len(z) - n, first + max(4, int(length - n) + 4)) + 1)
        if len(starts) == 0:
            continue
        edges = starts[:, None] + np.rint(np.arange(CHIPS + 1) * n / CHIPS).astype(np.int64)
        chips = np.diff(sums[:, edges], axis=2)
        heard = _signal(energy[starts + n] - energy[starts], n * noise)
        # Energy of the pulse outside the code counts as part of the pulse.
        whole = np.maximum(heard, _signal(energy[last] - energy[first], (last - first) * noise))
        plain = max(plain, float(((np.abs(chips.sum(axis=2)) ** 2).max(axis=0) / n / whole).max()))
        for code in CODES:
            peak = (np.abs(chips @ np.array(code, np.float64)) ** 2).max(axis=0) / n - noise
            share = float((peak / whole).max())
            if share > best.share:
                best = Compressed(share=min(1.0, share), duration_us=float(n / rate * 1e6))
    return best if best.share > PLAIN_MARGIN * plain else NOTHING


def swept(wave: Wave, *, centre_hz: float, slope_mhz_per_us: float, width_hz: float, roomy: bool = False) -> Compressed:
    """How well a sweep near the given slope explains a pulse, straight or bent.

    Of a long and wide sweep the best of five parts is taken, each with a time-bandwidth product of `PRODUCT`.

    Args: centre_hz: the pulse's offset from the receiver's centre frequency; roomy: allow a larger error of a slow
        slope, where it was measured over traffic.
    """
    wanted = max(2e6, min(wave.rate_hz, 1.6 * width_hz))
    z, rate, first, last = _narrowed(wave.whitened(), centre_hz, wanted)
    heard = _narrowed(wave, centre_hz, wanted)[0]
    noise = _noise(z, first, last)
    slope = slope_mhz_per_us * 1e12
    longest = max(8, int(np.sqrt(PRODUCT / abs(slope)) * rate))
    length = min(last - first, longest)
    if length < 8:
        return NOTHING

    def part(at: int, n: int) -> Compressed:
        one = _dechirped(z[at : at + n], heard[at : at + n], rate, slope, noise, roomy=roomy)
        return replace(one, tone_hz=one.tone_hz + centre_hz)

    starts = np.unique(np.linspace(first, last - length, 5 if last - first > 1.5 * length else 1).astype(np.int64))
    best = max((part(at, length) for at in starts), key=lambda one: one.share)
    half = length // 2
    if best.share < ENOUGH and abs(slope) * (half / rate) ** 2 >= HALF_PRODUCT:
        # A sweep that begins beside a busy channel and ends in it is measured well only in one of its halves.
        one = max((part(at, half) for at in (first, last - half)), key=lambda part: part.share)
        if one.share * HALF_WORTH > best.share:
            best = replace(one, share=one.share * HALF_WORTH, nepers=max(one.nepers, best.nepers))
    return best


def bent_phase(u: NDArray[np.floating[Any]], bend: float) -> NDArray[np.float64]:
    """Phase, in turns, of a sweep whose frequency at time u from -1 to 1 is (1 - bend) u + bend u^3."""
    phase: NDArray[np.float64] = (1 - bend) * u**2 / 2 + bend * u**4 / 4
    return phase


def swept_samples(sweep: Compressed, rate_hz: float) -> NDArray[np.complex128]:
    """Samples of the sweep with amplitude 1, at its offset from the receiver's centre, over the length compressed."""
    n = max(2, round(sweep.length_us * rate_hz / 1e6))
    half = sweep.length_us * 1e-6 / 2
    t = (np.arange(n) - (n - 1) / 2) / rate_hz
    turns = sweep.tone_hz * t + sweep.slope_mhz_per_us * 1e12 * half**2 * bent_phase(t / half, sweep.bend)
    samples: NDArray[np.complex128] = np.exp(2j * np.pi * turns)
    return samples


def _dechirped(
    z: NDArray[np.complex128], heard: NDArray[np.complex128], rate: float, slope: float, noise: float, *, roomy: bool
) -> Compressed:
    """Compress with a sweep. Args: z the samples with a flat background, heard the same as received."""
    n = len(z)
    whole = float(_signal(np.sum(np.abs(z) ** 2), n * noise))
    half = n / rate / 2
    u = (np.arange(n) - (n - 1) / 2) / rate / half
    room = max(SLOPE_ROOM, min(SLOPE_ROOM_MOST, SLOPE_OFF_HZ / (2 * half * abs(slope)))) if roomy else SLOPE_ROOM
    slopes = slope * np.linspace(1 - room, 1 + room, _steps(slope * room, half))
    size = 1 << int(np.ceil(np.log2(2 * n)))
    best, nepers = NOTHING, 0.0
    for bend in BENDS:
        shape = half * half * bent_phase(u, bend)
        turned = z * np.exp(-2j * np.pi * slopes[:, None] * shape)
        powers = np.abs(np.fft.fft(turned.astype(np.complex64), size, axis=1)) ** 2
        peaks = powers.max(axis=1) / n - noise
        at = int(peaks.argmax())
        share = float(peaks[at]) / whole
        nepers = max(nepers, (float(peaks[at]) + noise) / noise if noise > 0 else 0.0)
        if share > best.share + 0.02:
            tone = (int(powers[at].argmax()) / size + 0.5) % 1 - 0.5
            flat = heard * np.exp(-2j * np.pi * (slopes[at] * shape + tone * np.arange(n)))
            level_db = float(20 * np.log10(max(abs(np.mean(flat)), 1e-15)))
            best = Compressed(
                share=min(1.0, share), slope_mhz_per_us=float(slopes[at]) / 1e12, bend=bend, level_db=level_db,
                tone_hz=tone * rate, length_us=n / rate * 1e6,
            )  # fmt: skip
        if best.share > ENOUGH:
            break
    return replace(best, nepers=nepers)


def dispersed(wave: Wave, *, delays_us_per_mhz: tuple[float, float]) -> Compressed:
    """How well a fast sweep across the whole band explains a pulse: its spectrum with the dispersion removed.

    NOTHING where an undelayed impulse explains nearly as much.

    Args: delays_us_per_mhz: least and greatest delay tried, upward and downward.
    """
    room = int(6e-6 * wave.rate_hz)
    middle = (wave.first + wave.last) // 2
    part = wave.iq[max(0, middle - room) : middle + room]
    n = len(part)
    if n < 32:
        return NOTHING
    noise = _noise(wave.iq, wave.first, wave.last)
    spectrum = np.fft.fft(part)
    f = np.fft.fftfreq(n, 1 / wave.rate_hz) / 1e6
    low, high = delays_us_per_mhz
    rates = np.linspace(low, high, 48)
    tried = np.concatenate((-rates[::-1], np.linspace(-low / 3, low / 3, 5), rates))
    pressed = np.abs(np.fft.ifft(spectrum * np.exp(1j * np.pi * tried[:, None] * f**2), axis=1)) ** 2
    pressed = pressed + np.roll(pressed, 1, axis=1)
    peaks = pressed.max(axis=1) - 2 * noise
    whole = float(_signal(np.sum(np.abs(part) ** 2), n * noise))
    flat = np.abs(tried) < low / 2
    at = int(np.where(flat, -1, peaks).argmax())
    if peaks[at] < IMPULSE_MARGIN * float(peaks[flat].max()):
        return NOTHING
    share = min(1.0, float(peaks[at]) / whole)
    return Compressed(share=share, slope_mhz_per_us=1 / float(tried[at]))


def _steps(room: float, half_s: float) -> int:
    """Number of slopes within `room` on both sides such that the phase at the ends differs by about 1 rad a step."""
    worst = abs(room) * 2 * np.pi * half_s * half_s
    return int(min(600, max(9, worst / 1.2)))


def _narrowed(wave: Wave, centre_hz: float, wanted_hz: float) -> tuple[NDArray[np.complex128], float, int, int]:
    """The samples around `centre_hz` decimated to about `wanted_hz`; with the rate and the pulse's indices."""
    factor = max(1, round(wave.rate_hz / wanted_hz))
    turned = wave.iq * np.exp(-2j * np.pi * centre_hz / wave.rate_hz * np.arange(len(wave.iq)))
    kept = len(turned) // factor * factor
    z = turned[:kept].reshape(-1, factor).mean(axis=1)
    return z, wave.rate_hz / factor, wave.first // factor, max(wave.first // factor + 1, -(-wave.last // factor))


def _noise(z: NDArray[np.complexfloating], first: int, last: int) -> float:
    """Noise power, from the samples beside the pulse."""
    beside = np.concatenate((z[: max(0, first - 2)], z[last + 2 :]))
    return float(np.mean(np.abs(beside) ** 2)) if len(beside) >= 4 else 0.0


def _signal(total: NDArray[np.floating] | np.floating, noise: float) -> NDArray[np.floating]:
    """Energy above the noise, never less than a twentieth of the whole."""
    return np.maximum(np.asarray(total) - noise, (1 - NOISE_SHARE_MAX) * np.asarray(total))
