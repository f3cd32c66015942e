"""Compiled loops of the search for trains too weak to be pulses one by one.

Cells have the shape (frames, bins), uint8: powers over the background times `SCALE`, 0 where nothing can be said.
"""

from typing import Any, Final

import numpy as np

from sensing.detectors.pulsekernels import BLOCK
from sensing.loops import compiled, precompiled

SCALE: Final = 8.0
SLOTS_MIN: Final = 7
SLOTS_MAX: Final = 46
HITS_MAX: Final = 2048
DENSE: Final = 0.02
"""Share of bright cells of a bin beyond which it holds no train of single pulses; noise makes a fifth of it."""
TRIES_MAX: Final = 4000
FAINT: Final = 30.8
"""Least cell, times `SCALE`, at an interval of two bright ones that counts as one more of their train."""
NEXT_PLACES: Final = 3
MORE_LEAST: Final = 5
"""So many more such cells are needed before a train is refined: of the pairs that noise makes few have them."""


@compiled
def whiten_cells(power: Any, background: Any, usable: Any, scale: Any, first: int, out: Any) -> None:
    """Fill `out` with the powers of frames from `first` on over the background of their block, times `scale`.

    0 in blocks that are not usable.
    """
    for n in range(out.shape[0]):
        b = (first + n) // BLOCK
        row, cells, under, good = power[first + n], out[n], background[b], usable[b]
        for j in range(cells.shape[0]):
            value = scale * row[j] / under[j] if good else np.float32(0)
            cells[j] = np.uint8(min(value, np.float32(255)))


@compiled
def bright_cells(cells: Any, seed: Any, first: int, out: Any) -> int:
    """Fill `out` (n, 2) with frame, counted from `first`, and bin of all cells from `seed` on, in the order of time.

    Returns how many there are; what `out` has no room for is counted and left out.
    """
    bins, count = cells.shape[1], 0
    for t in range(cells.shape[0]):
        row = cells[t]
        over = 0
        for j in range(bins):
            over += 1 if row[j] >= seed else 0
        j = 0
        while over > 0:
            if row[j] >= seed:
                if count < out.shape[0]:
                    out[count, 0], out[count, 1] = first + t, j
                count += 1
                over -= 1
            j += 1
    return count


@precompiled("w2 uint8, int64, w1 int64")
def count_values(cells: Any, bin_: int, counts: Any) -> None:
    """Fill `counts`, int64 (256,), with how many cells of one bin have each value."""
    counts[:] = 0
    for t in range(cells.shape[0]):
        counts[cells[t, bin_]] += 1


@compiled
def search(cells: Any, bright: Any, fresh: int, low: float, high: float, cap: float, out: Any) -> int:
    """Fill `out` with (bin, phase, interval, first slot, last slot, sum); returns how many rows.

    Args: bright (n, 2) frame and bin of all cells from `seed` on, in the order of time.
    """
    frames, bins = cells.shape
    found = 0
    counts, starts = np.zeros(bins, np.int64), np.zeros(bins + 1, np.int64)
    for n in range(bright.shape[0]):
        starts[bright[n, 1] + 1] += 1
    for j in range(bins):
        starts[j + 1] += starts[j]
    # The hits of one bin follow those of the bin before. Rows of HITS_MAX for every bin would be mostly empty, and
    # memory that is new at each call is slow to touch.
    all_hits = np.empty(bright.shape[0], np.int64)
    for n in range(bright.shape[0]):
        t, j = bright[n, 0], bright[n, 1]
        if counts[j] >= HITS_MAX:
            continue
        last = starts[j] + counts[j] - 1
        if counts[j] > 0 and t <= all_hits[last] + 1:
            if cells[t, j] > cells[all_hits[last], j]:
                all_hits[last] = t
        else:
            all_hits[last + 1] = t
            counts[j] += 1
    for j in range(bins):
        count, hits = counts[j], all_hits[starts[j] : starts[j + 1]]
        if count > DENSE * frames:
            continue
        tries = 0
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
                if turns == 0 or tries >= TRIES_MAX:
                    continue
                if best_row >= 0 and _on(out[best_row, 1], out[best_row, 2], early, late):
                    continue
                if not _promising(cells, j, early, late, turns):
                    continue
                tries += 1
                pri, phase, more = _follow(cells, j, early, late, turns, low, high)
                if more < MORE_LEAST:
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
def _on(phase: float, pri: float, early: int, late: int) -> bool:
    """Whether two cells lie in the places of a train."""
    a, b = (early - phase) / pri, (late - phase) / pri
    return bool(abs(a - np.floor(a + 0.5)) * pri < 2.5 and abs(b - np.floor(b + 0.5)) * pri < 2.5)


@compiled
def _lit(cells: Any, bin_: int, at: float) -> bool:
    """Whether a cell at a place, or just before or after it, may be a pulse's."""
    middle = int(np.floor(at + 0.5))
    if middle < 1 or middle >= cells.shape[0] - 1:
        return False
    return bool(
        cells[middle, bin_] >= FAINT or cells[middle - 1, bin_] >= FAINT or cells[middle + 1, bin_] >= FAINT
    )  # fmt: skip


@compiled
def _promising(cells: Any, bin_: int, early: int, late: int, turns: int) -> bool:
    """Whether places next to a pair of cells, at its interval, are lit too; spares following most pairs.

    Of a pair two intervals apart that is the place between them, and of every pair two of the six nearest others.
    """
    pri, lit = (late - early) / turns, 0
    if turns == 2 and not _lit(cells, bin_, early + pri):
        return False
    for n in range(1, NEXT_PLACES + 1):
        lit += 1 if _lit(cells, bin_, early - n * pri) else 0
        if n == NEXT_PLACES and lit == 0:
            return False
        lit += 1 if _lit(cells, bin_, late + n * pri) else 0
        if lit >= 2:
            return True
    return False


@compiled
def _put(out: Any, row: int, bin_: int, phase: float, pri: float, first: int, last: int, total: float) -> None:
    out[row, 0], out[row, 1], out[row, 2], out[row, 3], out[row, 4], out[row, 5] = bin_, phase, pri, first, last, total


@compiled
def _follow(
    cells: Any, bin_: int, early: int, late: int, turns: int, low: float, high: float
) -> tuple[float, float, int]:
    """Follow the interval of two cells both ways through what stands out at all: interval, phase, how many more."""
    frames = cells.shape[0]
    pri = (late - early) / turns
    sum_k, sum_t, sum_kk, sum_kt, n = 0.0 + turns, early + late + 0.0, 0.0 + turns * turns, turns * (late + 0.0), 2
    more = 0
    phase = early + 0.0
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
            if best >= FAINT:
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
