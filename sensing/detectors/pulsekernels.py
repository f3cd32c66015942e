"""Compiled loops of the pulse search: block means and maxima, backgrounds, best path.

Arrays of cells have the shape (frames or blocks, bins), float32, lowest frequency first. A block is `BLOCK` frames.
"""

from typing import Any, Final

import numpy as np

from sensing.loops import compiled

BLOCK: Final = 8
SIDE: Final = 4
STEEP_SHARE: Final = 0.6
"""Of the cells of a steep path that are independent: next neighbours in frequency overlap by half."""


@compiled
def reduce_blocks(power: Any, level: Any, top: Any) -> None:
    """Mean and maximum of every block of `power`, each (blocks, bins)."""
    for b in range(level.shape[0]):
        mean, high = level[b], top[b]
        for j in range(mean.shape[0]):
            mean[j] = power[b * BLOCK, j]
            high[j] = power[b * BLOCK, j]
        for i in range(1, BLOCK):
            row = power[b * BLOCK + i]
            for j in range(mean.shape[0]):
                mean[j] += row[j]
                high[j] = max(high[j], row[j])
        for j in range(mean.shape[0]):
            mean[j] *= np.float32(1.0 / BLOCK)


@compiled
def sides(level: Any, out: Any) -> None:
    """Second smallest of every `SIDE` = 4 consecutive blocks: what stays when a pulse falls into one or two of them."""
    for k in range(out.shape[0]):
        a, b, c, d, row = level[k], level[k + 1], level[k + 2], level[k + 3], out[k]
        for j in range(row.shape[0]):
            low = max(min(a[j], b[j]), min(c[j], d[j]))
            high = min(max(a[j], b[j]), max(c[j], d[j]))
            row[j] = min(low, high)


@compiled
def backgrounds(side: Any, quiet: Any, guard: int, step: Any, out: Any, loud: Any, steps: Any) -> None:
    """Larger of before, after and the quiet level, for every block that has both sides; the others stay infinite.

    `loud` (blocks,) becomes the larger side of the loudest bin that steps by `step` between before and after, `steps`
    how many bins do.
    """
    blocks, bins = out.shape
    first = guard + SIDE - 1
    for i in range(blocks - first - guard - SIDE + 1):
        at = first + i
        before, after, row = side[i], side[i + first + guard], out[at]
        count, most = 0, np.float32(0)
        for j in range(bins):
            upper, lower = max(before[j], after[j]), min(before[j], after[j])
            row[j] = max(upper, quiet[j])
            if upper > step * lower:
                count += 1
                most = max(most, upper)
        loud[at] = most
        steps[at] = count


@compiled
def loudest(level: Any, top: Any, near: Any, far: Any, single: Any, mean: Any, loud: Any) -> None:
    """Raise `loud` (blocks,) to the strongest bin that is a pulse of its own, by its maximum or by its mean."""
    for b in range(level.shape[0]):
        for j in range(level.shape[1]):
            if top[b, j] > single * near[b, j] or level[b, j] > mean * far[b, j]:
                loud[b] = max(loud[b], top[b, j])


@compiled
def count_candidates(
    level: Any,
    top: Any,
    near: Any,
    far: Any,
    loud: Any,
    steps: Any,
    single: Any,
    mean: Any,
    leak: Any,
    most: int,
    heights: Any,
) -> int:
    """Fill `heights` (blocks, bins) with how far a block's maximum and mean are over their thresholds, the larger.

    Args: single and mean as ratios to `near` and `far`; a threshold is at least `leak` of `loud` (blocks,); where
        `most` bins step, or more, no maximum counts. Returns how many heights are over 1.
    """
    count = 0
    for b in range(level.shape[0]):
        least, stepped = leak * loud[b], steps[b] >= most
        over = 0
        for j in range(level.shape[1]):
            under = single * near[b, j]
            short = top[b, j] / (under if under > least else least)
            short = np.float32(0) if stepped else short
            under = mean * far[b, j]
            long = level[b, j] / (under if under > least else least)
            height = short if short > long else long
            heights[b, j] = height
            over += 1 if height > np.float32(1) else 0
        count += over
    return count


@compiled
def segment(values: Any, count: int, penalty: Any) -> tuple[float, int, int]:
    """Largest sum of (value - penalty) over consecutive values: sum, first, last + 1."""
    best, best_first, best_last = 0.0, 0, 0
    run, first = 0.0, 0
    for i in range(count):
        if run <= 0:
            run, first = 0.0, i
        run += values[i] - penalty
        if run > best:
            best, best_first, best_last = run, first, i + 1
    return best, best_first, best_last


@compiled
def best_path(
    w: Any, frame: int, bin_: int, shallow: Any, steep: Any, penalty: Any, cap: Any, line: Any, where: Any
) -> float:
    """The straight path near a cell whose best stretch sums highest over `penalty` a cell; returns that sum.

    Args: w whitened cells; shallow slopes in bins a frame; steep ones in frames a bin; cells count up to `cap`.
    `line` becomes (frame, bin, slope in bins a frame or 0, slope in frames a bin or 0), `where` the first and one past
    the last frame (or bin, where the path is steep) of the stretch, and 1 where it is steep.
    """
    frames, bins = w.shape
    values = np.empty(max(frames, bins), np.float32)
    best = 0.0
    for s in range(shallow.shape[0]):
        for off in range(-1, 2):
            origin = bin_ + off
            for t in range(frames):
                j = int(np.floor(origin + shallow[s] * (t - frame) + 0.5))
                values[t] = min(cap, w[t, j]) if 0 <= j < bins else 0.0
            score, first, last = segment(values, frames, penalty)
            if score > best * 1.02:
                best = score
                line[0], line[1], line[2], line[3] = frame, origin, shallow[s], 0.0
                where[0], where[1], where[2] = first, last, 0
    for s in range(steep.shape[0]):
        for off in range(-1, 2):
            origin = frame + off
            for j in range(bins):
                t = int(np.floor(origin + steep[s] * (j - bin_) + 0.5))
                values[j] = min(cap, w[t, j]) if 0 <= t < frames else 0.0
            score, first, last = segment(values, bins, penalty)
            score *= STEEP_SHARE
            if score > best * 1.02:
                best = score
                line[0], line[1], line[2], line[3] = origin, bin_, 0.0, steep[s]
                where[0], where[1], where[2] = first, last, 1
    return best
