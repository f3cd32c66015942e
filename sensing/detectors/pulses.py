"""Single pulses in short-time spectra: isolated in time, over a background taken from both sides of them.

Two searches run side by side. The short one compares single cells with what lies 8 to 50 microseconds before and
after; it finds pulses of a few microseconds and sweeps that cross a bin fast. The long one compares means over 8
frames with what lies more than 64 microseconds away; it finds pulses that stay in a bin for up to 60 microseconds.
The background is the larger of before, after and the bin's quiet level, so that neither the start nor the end of a
long emission looks like a pulse; and while the band steps up or down by 6 dB nothing is called a pulse at all.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.shorttime import ShortTime
from sensing.frontend import Float32s, Iq
from sensing.theory import gamma_quantile

BLOCK: Final = 8
SIDE: Final = 4
SHORT_GUARD: Final = 2
LONG_GUARD: Final = 8
SHORT_THRESHOLD: Final = 10 ** (11 / 10)
LONG_THRESHOLD: Final = 10 ** (6 / 10)
STEP: Final = 4.0
STEP_BINS: Final = 2
LEAKAGE: Final = 10 ** (-22 / 10)
"""A cell this far below the loudest steady signal in the band at the time may be that signal's own switching."""
EVENT_GAP: Final = 2
EVENTS_LEAST: Final = 12
EVENTS_PER_US: Final = 0.004
LIT: Final = 4.0
"""A cell belongs to a pulse when it rises this many times the background above it."""
MARGIN_FRAMES: Final = (LONG_GUARD + SIDE + 1) * BLOCK
SAME_US: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """One pulse: `time_us` is its centre since the start of the samples; frequencies are from the receiver's centre.

    `snr_db` is the peak in a cell of about 1 MHz, `instant_hz` how wide it is at any one time, and
    `slope_mhz_per_us` how its frequency moves.
    """

    time_us: float
    duration_us: float
    low_hz: float
    high_hz: float
    peak_hz: float
    instant_hz: float
    snr_db: float
    slope_mhz_per_us: float


class PulseFinder:
    """Finds pulses in stretches of samples taken at one setting, with no seam where one stretch follows another."""

    def __init__(self, *, sample_rate_hz: float, full_scale: float) -> None:
        """Args: full_scale in the units of the samples."""
        self._short_time = ShortTime(sample_rate_hz=sample_rate_hz, full_scale=full_scale)
        self._frame_us = self._short_time.frame_us
        self._quiet = gamma_quantile(shape=BLOCK, q=0.25)
        self._tail: Iq | None = None
        self._seen: tuple[Pulse, ...] = ()
        self._scratch = np.empty((0, BLOCK // 2, self._short_time.n_fft), np.float32)

    def find(self, iq: Iq, *, contiguous: bool = False) -> tuple[Pulse, ...]:
        """Pulses in the order of time; those near the end of the stretch before may have times below zero.

        Args: iq int16 (n, 2) or complex64 (n,); contiguous if its first sample follows the last one of the call before.
        """
        joined: Iq = iq
        shift_us = 0.0
        if contiguous and self._tail is not None and self._tail.dtype == iq.dtype:
            joined = _join(self._tail, iq)
            shift_us = len(self._tail) / self._short_time.hop * self._frame_us
        known = self._seen if shift_us else ()
        pulses = tuple(replace(p, time_us=p.time_us - shift_us) for p in self._search(joined))
        fresh = tuple(p for p in pulses if all(abs(p.time_us - k.time_us) > SAME_US for k in known))
        self._remember(joined, fresh, len(iq))
        return fresh

    @property
    def band_hz(self) -> float:
        """Width of the band that is searched."""
        return self._short_time.bin_hz * self._short_time.n_fft

    def _remember(self, joined: Iq, pulses: tuple[Pulse, ...], samples: int) -> None:
        length_us = samples / self._short_time.hop * self._frame_us
        self._tail = joined[-2 * MARGIN_FRAMES * self._short_time.hop :].copy()
        late = length_us - 2 * MARGIN_FRAMES * self._frame_us
        self._seen = tuple(replace(p, time_us=p.time_us - length_us) for p in pulses if p.time_us > late)

    def _search(self, iq: Iq) -> tuple[Pulse, ...]:
        power = self._short_time.power(iq)
        blocks = len(power) // BLOCK
        if blocks < 2 * (SHORT_GUARD + SIDE):
            return ()
        cells = power[: blocks * BLOCK].reshape(blocks, BLOCK, -1)
        level = self._over_block(np.add, cells) / np.float32(BLOCK)
        quarter = blocks // 4
        quiet = np.partition(level, quarter, axis=0)[quarter] / np.float32(self._quiet)
        sides = _sides(level)
        long = self._long(level, sides, quiet, power)
        short = self._short(cells, sides, quiet, power)
        apart = [p for p in short if all(abs(p.time_us - q.time_us) > q.duration_us / 2 + SAME_US for q in long)]
        return tuple(sorted([*long, *apart], key=lambda p: p.time_us))

    def _short(self, cells: Float32s, sides: Float32s, quiet: Float32s, power: Float32s) -> list[Pulse]:
        background, edges = _background(sides, quiet, guard=SHORT_GUARD, blocks=len(cells))
        limit = np.maximum(SHORT_THRESHOLD * background, LEAKAGE * background.max(axis=1, keepdims=True))
        limit[edges] = np.inf
        block, bins = np.nonzero(self._over_block(np.maximum, cells) > limit)
        over = cells[block, :, bins] / limit[block, bins, None]
        which, frame = np.nonzero(over > 1)
        frames = block[which] * BLOCK + frame
        order = np.argsort(frames, kind="stable")
        frames, heights = frames[order], over[which, frame][order]
        spans = _strongest(_spans(frames, EVENT_GAP), frames, heights, self._most(len(power)))
        return [self._measure(first, last, power, background[(first + last) // 2 // BLOCK]) for first, last in spans]

    def _over_block(self, pick: np.ufunc, cells: Float32s) -> Float32s:
        """Reduce the middle axis, of length `BLOCK`; the result holds until the next call.

        By halves, because rows are long that way and numpy's own reduction works on short ones.
        """
        if len(self._scratch) < len(cells):
            self._scratch = np.empty((len(cells), *self._scratch.shape[1:]), np.float32)
        part = self._scratch[: len(cells)]
        pick(cells[:, : BLOCK // 2], cells[:, BLOCK // 2 :], out=part)
        half = BLOCK // 4
        while half:
            pick(part[:, :half], part[:, half : 2 * half], out=part[:, :half])
            half //= 2
        return part[:, 0]

    def _most(self, frames: int) -> int:
        """How many pulses are looked at more closely: some more than the busiest radar sends."""
        return EVENTS_LEAST + round(frames * self._frame_us * EVENTS_PER_US)

    def _long(self, level: Float32s, sides: Float32s, quiet: Float32s, power: Float32s) -> list[Pulse]:
        background, _ = _background(sides, quiet, guard=LONG_GUARD, blocks=len(level))
        limit = np.maximum(LONG_THRESHOLD * background, LEAKAGE * background.max(axis=1, keepdims=True))
        found = np.unique(np.nonzero(level > limit)[0])
        spans = _spans(found, 1)[: self._most(len(power))]
        return [
            self._measure(first * BLOCK, last * BLOCK, power, background[(first + last) // 2])
            for first, last in spans
            if last - first <= LONG_GUARD
        ]

    def _measure(self, first: int, last: int, power: Float32s, level: Float32s) -> Pulse:
        """Describe what rises over `level` between two frames and one beside them."""
        low, high = max(0, first - 1), min(len(power), last + 1)
        excess = np.maximum(power[low:high] - level, 0)
        hold = excess.max(axis=0)
        top = int((hold / np.maximum(level, 1e-30)).argmax())
        least = np.minimum(np.maximum(hold[top] / 10, LIT * level), hold[top] / 2)
        lit = excess > least
        strong = _around(hold > least, top)
        weights = np.where(lit, excess, 0)[:, strong[0] : strong[-1] + 1]
        rows = weights.sum(axis=1)
        times = np.arange(low, high)
        when = np.flatnonzero(rows > rows.max() / 6)
        centre = float(times @ rows / max(rows.sum(), 1e-30))
        return Pulse(
            time_us=(centre + 1) * self._frame_us,
            duration_us=max(0.5, (int(when[-1] - when[0])) * self._frame_us),
            low_hz=self._hz(int(strong[0])) - self._short_time.bin_hz / 2,
            high_hz=self._hz(int(strong[-1])) + self._short_time.bin_hz / 2,
            peak_hz=self._hz(top),
            instant_hz=float(np.median(np.count_nonzero(weights[when], axis=1))) * self._short_time.bin_hz,
            snr_db=float(10 * np.log10(max(hold[top], 1e-30) / max(level[top], 1e-30))),
            slope_mhz_per_us=self._slope(times - centre, weights),
        )

    def _hz(self, index: int) -> float:
        return (index - self._short_time.n_fft // 2) * self._short_time.bin_hz

    def _slope(self, times: NDArray[np.floating], weights: Float32s) -> float:
        total = weights.sum(axis=1)
        lit = total > 0
        bins = weights[lit] @ np.arange(weights.shape[1]) / total[lit]
        t, w = times[lit], total[lit]
        spread = float(w @ t**2)
        if np.count_nonzero(lit) < 3 or spread == 0:
            return 0.0
        return float(w @ (t * (bins - (w @ bins) / w.sum())) / spread) * self._short_time.bin_hz / 1e6 / self._frame_us


def _join(first: Iq, second: Iq) -> Iq:
    if first.dtype == np.complex64:
        return np.concatenate((first, second)).astype(np.complex64, copy=False)
    return np.concatenate((first, second)).astype(np.int16, copy=False)


def _background(sides: Float32s, quiet: Float32s, *, guard: int, blocks: int) -> tuple[Float32s, NDArray[np.bool_]]:
    """Background of shape (blocks, n_fft), infinite where a side is missing; and which blocks are at an edge."""
    background = np.full((blocks, sides.shape[1]), np.inf, np.float32)
    edges = np.zeros(blocks, np.bool_)
    first = guard + SIDE - 1
    count = blocks - first - guard - SIDE + 1
    if count <= 0 or not quiet.any():
        return background, edges
    before, after = sides[:count], sides[first + guard :][:count]
    upper = np.maximum(before, after)
    edges[first : first + count] = np.count_nonzero(upper > STEP * np.minimum(before, after), axis=1) >= STEP_BINS
    background[first : first + count] = np.maximum(upper, quiet)
    return background, edges


def _spans(frames: NDArray[np.intp], gap: int) -> list[tuple[int, int]]:
    """Runs of an ascending series, as (first, last + 1), broken where a step is wider than `gap`."""
    if len(frames) == 0:
        return []
    breaks = np.flatnonzero(np.diff(frames) > gap)
    firsts = frames[np.concatenate(([0], breaks + 1))]
    lasts = frames[np.append(breaks, len(frames) - 1)] + 1
    return [(int(a), int(b)) for a, b in zip(firsts, lasts, strict=True)]


def _strongest(
    spans: list[tuple[int, int]], frames: NDArray[np.intp], over: Float32s, most: int
) -> list[tuple[int, int]]:
    """The spans that rise highest over their limit, still in the order of time."""
    if len(spans) <= most:
        return spans
    height = np.maximum.reduceat(over, np.searchsorted(frames, [first for first, _ in spans]))
    kept = np.sort(np.argsort(height)[-most:])
    return [spans[int(i)] for i in kept]


def _around(strong: NDArray[np.bool_], top: int) -> NDArray[np.intp]:
    """Indices of the run of strong bins that holds `top`, one weak bin allowed in between."""
    where = np.flatnonzero(strong)
    runs = np.split(where, np.flatnonzero(np.diff(where) > 2) + 1)
    return next((run for run in runs if top in run), np.array([top]))


def _sides(level: Float32s) -> Float32s:
    """Second smallest of every `SIDE` = 4 consecutive blocks: what stays when a pulse falls into one or two of them."""
    a, b, c, d = (level[i : len(level) - SIDE + 1 + i] for i in range(SIDE))
    return np.minimum(np.maximum(np.minimum(a, b), np.minimum(c, d)), np.minimum(np.maximum(a, b), np.maximum(c, d)))
