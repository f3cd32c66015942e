"""Trains of pulses too weak to be pulses one by one: a steady interval in one bin, added up before anything is decided.

Whitened powers of the last 60 ms are kept as bytes. Two cells that stand out a little, one or two intervals of the class
P0N#1 apart, begin a train; it is followed both ways, its interval refined, and its cells summed. What noise does to
that sum is known exactly (a gamma distribution), so a train is only told of when noise would make it less than
once in the time asked for, over all intervals, places and beginnings that could have been tried.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from sensing.detectors.pulsekernels import BLOCK, compiled
from sensing.frontend import Float32s

MEMORY_US: Final = 60_000.0
SCALE: Final = 8.0
SEED: Final = 7.0
"""Backgrounds a cell must reach to begin a train."""
CAP: Final = 14.0
SLOTS_MIN: Final = 7
SLOTS_MAX: Final = 46
FOUND_MAX: Final = 64
HITS_MAX: Final = 2048
TRIED_PER_CELL: Final = 3000.0
"""Intervals of the class that differ by less than half a frame over a burst."""
SIDE_SHARE: Final = 0.35
"""Mean of the cells just before and after a pulse, as a share of its own, beyond which it is no short pulse."""
DIM: Final = 1.8
LIT_SHARE: Final = 0.65
"""Of the places of a train at which there must be something: others' pulses meet a wrong interval now and then."""
FIELDS: Final = 6
BINS_LEAST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakTrain:
    """A train found by its sum: when its pulses were (frames since the start of the newest piece), and where.

    `mean` is the mean cell over the background, `level_db` the middle one in squared full scales, `nepers` the log of how many seconds noise takes to make one like it.
    """

    frames: tuple[float, ...]
    low_bin: int
    high_bin: int
    peak_bin: int
    mean: float
    level_db: float
    nepers: float


class WeakTrains:
    """Keeps the whitened cells of the last stretch of contiguous samples and looks for trains in them."""

    def __init__(self, *, bins: int, frame_us: float, pri_us: tuple[float, float], nepers: float) -> None:
        """Args: pri_us is the range of intervals; nepers is the least a train must reach."""
        self._bins, self._frame_us, self._nepers = bins, frame_us, nepers
        self._pri = (pri_us[0] / frame_us, pri_us[1] / frame_us)
        self._memory = int(MEMORY_US / frame_us)
        self._cells = np.zeros((0, bins), np.uint8)
        self._under: list[tuple[int, Float32s]] = []

    def reset(self) -> None:
        """Forget everything: what comes next does not follow on."""
        self._cells = np.zeros((0, self._bins), np.uint8)
        self._under = []

    def find(self, whitened: NDArray[np.uint8], first: int, last: int, under: Float32s) -> list[WeakTrain]:
        """Trains that end in the newest piece, the best of those that share a cell; frames count from its start.

        Args: whitened (frames, bins), backgrounds times `SCALE`, cut off at 255; 0 where nothing can be said; of it only
            the frames from `first` to `last` are new. `under` (blocks, bins) are the backgrounds of all of it.
        """
        newest = whitened[first:last]
        drop = max(0, len(self._cells) + len(newest) - self._memory)
        self._cells = np.concatenate((self._cells[drop:], newest))
        fresh = len(self._cells) - len(newest)
        self._under = [(at - drop, one) for at, one in self._under if at - drop + BLOCK * len(one) > 0]
        self._under.append((fresh - first, under))
        if self._bins < BINS_LEAST:
            return []
        rows = np.empty((FOUND_MAX, FIELDS))
        found = _search(
            self._cells, fresh, self._pri[0], self._pri[1], np.uint8(SEED * SCALE), np.float64(CAP * SCALE), rows
        )
        trains = [self._told(row, fresh) for row in rows[:found]]
        return _apart([one for one in trains if one is not None])

    def _told(self, row: NDArray[np.float64], fresh: int) -> WeakTrain | None:
        """The train of one row (bin, phase, interval, first slot, last slot, sum), if it is one and its pulses are short."""
        bin_, (phase, pri, first, last, total) = int(row[0]), row[1:]
        frames = phase + pri * np.arange(int(first), int(last) + 1)
        n = len(frames)
        tried = np.log(TRIED_PER_CELL * SLOTS_MAX * 2e6 * self._bins / 2)
        x = total / SCALE
        nepers = float(x - (n - 1) * np.log(x) + gammaln(n) - tried) if x > n else 0.0
        if nepers < self._nepers:
            return None
        at = np.rint(frames).astype(np.int64)
        at = at[(at >= 8) & (at < len(self._cells) - 8)]
        stack = np.minimum(self._cells[at], CAP * SCALE).mean(axis=0) / SCALE
        beside = np.mean([self._cells[at + d, bin_].mean() for d in (-6, -5, -4, 4, 5, 6)]) / SCALE
        mean = float(stack[bin_])
        if beside - 1 > SIDE_SHARE * (mean - 1):
            return None
        lit = stack > 1 + (mean - 1) / 4
        low = high = bin_
        while low > 0 and lit[low - 1]:
            low -= 1
        while high < self._bins - 1 and lit[high + 1]:
            high += 1
        slots = self._cells[at, bin_]
        known = slots > 0
        if np.count_nonzero(slots[known] > DIM * SCALE) < LIT_SHARE * np.count_nonzero(known):
            return None
        cells = self._cells[at, bin_].astype(np.float64) / SCALE
        bright = (cells > 2.0) & (cells < CAP)
        bright = bright if bright.any() else cells > 2.0
        levels = 10 * np.log10((cells[bright] - 1) * np.array([self._background(int(f), bin_) for f in at[bright]]))
        heard = frames[self._cells[np.clip(np.rint(frames).astype(np.int64), 0, len(self._cells) - 1), bin_] > 2 * SCALE]
        return WeakTrain(
            frames=tuple(float(f) - fresh for f in heard), low_bin=low, high_bin=high, peak_bin=bin_, mean=mean,
            level_db=float(np.median(levels)) if len(levels) else -99.0, nepers=nepers,
        )  # fmt: skip

    def _background(self, frame: int, bin_: int) -> float:
        """Of one cell in memory."""
        for at, under in reversed(self._under):
            if at <= frame < at + BLOCK * len(under):
                value = float(under[(frame - at) // BLOCK, bin_])
                if np.isfinite(value):
                    return value
        return 1e-30


def whiten(power: Float32s, background: Float32s, usable: NDArray[np.bool_], out: NDArray[np.uint8]) -> None:
    """Fill `out` (frames, bins) with powers over the background of their block, as bytes."""
    _whiten(power, background, usable, np.float32(SCALE), out)


def _apart(trains: list[WeakTrain]) -> list[WeakTrain]:
    kept: list[WeakTrain] = []
    for one in sorted(trains, key=lambda train: -train.nepers):
        near = (k for k in kept if k.low_bin - 2 <= one.peak_bin <= k.high_bin + 2)
        if not any(abs(k.frames[-1] - one.frames[-1]) < 2e3 and _shared(k, one) for k in near):
            kept.append(one)
    return kept


def _shared(a: WeakTrain, b: WeakTrain) -> bool:
    return any(abs(x - y) < 3 for x in a.frames for y in b.frames)


@compiled
def _whiten(power: Any, background: Any, usable: Any, scale: Any, out: Any) -> None:
    for b in range(background.shape[0]):
        good = usable[b]
        for i in range(8):
            row, cells, under = power[b * 8 + i], out[b * 8 + i], background[b]
            for j in range(cells.shape[0]):
                value = scale * row[j] / under[j] if good else np.float32(0)
                cells[j] = np.uint8(min(value, np.float32(255)))


@compiled
def _search(cells: Any, fresh: int, low: float, high: float, seed: Any, cap: float, out: Any) -> int:
    """Fill `out` with (bin, phase, interval, first slot, last slot, sum); returns how many rows."""
    frames, bins = cells.shape
    found = 0
    counts = np.zeros(bins, np.int64)
    all_hits = np.empty((bins, HITS_MAX), np.int64)
    for t in range(frames):
        row = cells[t]
        over = 0
        for j in range(bins):
            over += 1 if row[j] >= seed else 0
        if over == 0:
            continue
        for j in range(bins):
            if row[j] < seed or counts[j] >= HITS_MAX:
                continue
            if counts[j] > 0 and t <= all_hits[j, counts[j] - 1] + 1:
                if row[j] > cells[all_hits[j, counts[j] - 1], j]:
                    all_hits[j, counts[j] - 1] = t
            else:
                all_hits[j, counts[j]] = t
                counts[j] += 1
    for j in range(bins):
        count, hits = counts[j], all_hits[j]
        best_row, best_gain = -1, 0.0
        for b in range(count):
            late = hits[b]
            if late < fresh:
                continue
            a = b - 1
            while a >= 0 and late - hits[a] <= 2 * high + 1:
                lag = late - hits[a]
                early = hits[a]
                a -= 1
                turns = 1 if low - 1 <= lag <= high + 1 else (2 if 2 * low - 1 <= lag <= 2 * high + 1 else 0)
                if turns == 0:
                    continue
                pri, phase, more = _follow(cells, j, early, late, turns, low, high, seed)
                if more < 3:
                    continue
                gain, phase, pri, first, last, total = _refine(cells, j, phase, pri, cap)
                if gain <= 0 or last - first + 1 < SLOTS_MIN or phase + pri * last < fresh - 2 * high:
                    continue
                if best_row >= 0 and abs(out[best_row, 2] - pri) < 1.0:
                    if gain > best_gain:
                        _put(out, best_row, j, phase, pri, first, last, total)
                        best_gain = gain
                elif found < out.shape[0]:
                    _put(out, found, j, phase, pri, first, last, total)
                    best_row, best_gain = found, gain
                    found += 1
    return found


@compiled
def _put(out: Any, row: int, bin_: int, phase: float, pri: float, first: int, last: int, total: float) -> None:
    out[row, 0], out[row, 1], out[row, 2], out[row, 3], out[row, 4], out[row, 5] = bin_, phase, pri, first, last, total


@compiled
def _follow(
    cells: Any, bin_: int, early: int, late: int, turns: int, low: float, high: float, seed: Any
) -> tuple[float, float, int]:
    """Follow the interval of two cells both ways through what stands out at all: interval, phase, how many more."""
    frames = cells.shape[0]
    pri = (late - early) / turns
    sum_k, sum_t, sum_kk, sum_kt, n = 0.0 + turns, early + late + 0.0, 0.0 + turns * turns, turns * (late + 0.0), 2
    more = 0
    phase = early + 0.0
    faint = seed * 0.55
    for way in range(2):
        misses = 0
        k = turns + 1 if way == 0 else -1
        while misses < 5 and abs(k) < SLOTS_MAX:
            at = phase + k * pri
            middle = int(np.floor(at + 0.5))
            if middle < 1 or middle >= frames - 1:
                break
            best, when = cells[middle, bin_], middle
            if cells[middle - 1, bin_] > best:
                best, when = cells[middle - 1, bin_], middle - 1
            if cells[middle + 1, bin_] > best:
                best, when = cells[middle + 1, bin_], middle + 1
            if best >= faint:
                misses = 0
                more += 1
                n += 1
                sum_k += k
                sum_t += when
                sum_kk += k * k
                sum_kt += k * when
                slope = (n * sum_kt - sum_k * sum_t) / max(1e-9, n * sum_kk - sum_k * sum_k)
                if low - 0.5 <= slope <= high + 0.5:
                    pri = slope
                    phase = (sum_t - pri * sum_k) / n
            else:
                misses += 1
            k += 1 if way == 0 else -1
    return pri, phase, more


@compiled
def _refine(cells: Any, bin_: int, phase: float, pri: float, cap: float) -> tuple[float, float, float, int, int, float]:
    """The phase and interval near these whose best run of slots gains most: gain, phase, interval, first, last, sum."""
    frames = cells.shape[0]
    best, best_phase, best_pri, best_first, best_last, best_sum = 0.0, phase, pri, 0, 0, 0.0
    for p in range(-3, 4):
        for q in range(-3, 4):
            at, step = phase + 0.4 * p, pri + 0.03 * q
            run, first, total = 0.0, 0, 0.0
            for k in range(-SLOTS_MAX, SLOTS_MAX + 1):
                t = int(np.floor(at + k * step + 0.5))
                if t < 0 or t >= frames:
                    continue
                value = min(cap, cells[t, bin_] + 0.5)
                if run <= 0:
                    run, first, total = 0.0, k, 0.0
                run += value - 2.4 * 8.0
                total += value
                if run > best:
                    best, best_phase, best_pri = run, at, step
                    best_first, best_last, best_sum = first, k, total
    return best, best_phase, best_pri, best_first, best_last, best_sum
