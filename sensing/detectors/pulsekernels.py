"""Compiled loops of the pulse search: powers with block means and maxima, backgrounds, best path.

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
def squared_blocks(spectra: Any, power: Any, level: Any, top: Any) -> None:
    """Fill `power` with squared magnitudes, `level` and `top` with mean and maximum of every whole block of it.

    Args: spectra complex64 and power (frames, bins); level and top (blocks, bins).
    """
    blocks = level.shape[0]
    for b in range(blocks + 1):
        for i in range(b * BLOCK, (b + 1) * BLOCK if b < blocks else power.shape[0]):
            row, out = spectra[i], power[i]
            for j in range(out.shape[0]):
                out[j] = row[j].real * row[j].real + row[j].imag * row[j].imag
        if b == blocks:
            break
        mean, high = level[b], top[b]
        row = power[b * BLOCK]
        for j in range(mean.shape[0]):
            mean[j] = row[j]
            high[j] = row[j]
        for i in range(b * BLOCK + 1, (b + 1) * BLOCK):
            row = power[i]
            for j in range(mean.shape[0]):
                mean[j] += row[j]
                high[j] = max(high[j], row[j])
        for j in range(mean.shape[0]):
            mean[j] *= np.float32(1.0 / BLOCK)


@compiled
def _sides(level: Any, out: Any) -> None:
    """Second smallest of every `SIDE` = 4 consecutive blocks: what stays when a pulse falls into one or two of them."""
    for k in range(out.shape[0]):
        a, b, c, d, row = level[k], level[k + 1], level[k + 2], level[k + 3], out[k]
        for j in range(row.shape[0]):
            low = max(min(a[j], b[j]), min(c[j], d[j]))
            high = min(max(a[j], b[j]), max(c[j], d[j]))
            row[j] = min(low, high)


@compiled
def _backgrounds(side: Any, quiet: Any, margin: Any, guard: int, step: Any, out: Any, loud: Any, steps: Any) -> None:
    """Larger of before, after and the quiet level, times `margin`, of blocks that have both sides; others infinite.

    `loud` (blocks,) is raised to the larger side of the loudest bin that steps by `step` between before and after,
    `steps` becomes how many bins do.
    """
    blocks, bins = out.shape
    first = guard + SIDE - 1
    last = blocks - guard - SIDE
    for at in range(blocks):
        row = out[at]
        if not first <= at <= last:
            row[:] = np.inf
            continue
        before, after = side[at - first], side[at + guard]
        for j in range(bins):
            row[j] = max(before[j], after[j], quiet[j]) * margin[j]
        count = 0
        for j in range(bins):
            count += 1 if max(before[j], after[j]) > step * min(before[j], after[j]) else 0
        steps[at] = count
        if count > 0:
            most = loud[at]
            for j in range(bins):
                upper = max(before[j], after[j])
                most = upper if upper > step * min(before[j], after[j]) and upper > most else most
            loud[at] = most


@compiled
def _loudest(level: Any, top: Any, near: Any, far: Any, single: Any, mean: Any, loud: Any) -> None:
    """Raise `loud` (blocks,) to the strongest bin that is a pulse of its own, by its maximum or by its mean."""
    for b in range(level.shape[0]):
        levels, tops, close, apart = level[b], top[b], near[b], far[b]
        count = 0
        for j in range(levels.shape[0]):
            count += 1 if tops[j] > single * close[j] or levels[j] > mean * apart[j] else 0
        if count == 0:
            continue
        for j in range(levels.shape[0]):
            if tops[j] > single * close[j] or levels[j] > mean * apart[j]:
                loud[b] = max(loud[b], tops[j])


@compiled
def surroundings(
    level: Any, top: Any, quiet: Any, margin: Any, guards: Any, step: Any, single: Any, mean: Any, near: Any, far: Any,
    loud: Any, steps: Any,
) -> None:  # fmt: skip
    """Fill `near` and `far` (blocks, bins) with what lies around each block, so many blocks apart as `guards` say.

    That is the larger of before, after and the bin's `quiet` level, times the bin's `margin`; infinite where a side is
    missing. `steps` (blocks,) becomes how many bins step by `step` from before to after, near by; `loud` (blocks,) the
    strongest that does, or that is a pulse by `single` times `near` or `mean` times `far`.

    Args: level and top mean and maximum of each block; guards int64 (2,), of near and far.
    """
    side = np.empty((level.shape[0] - SIDE + 1, level.shape[1]), np.float32)
    _sides(level, side)
    loud[:] = 0
    steps[:] = 0
    _backgrounds(side, quiet, margin, guards[1], step, far, loud, steps)
    _backgrounds(side, quiet, margin, guards[0], step, near, loud, steps)
    _loudest(level, top, near, far, single, mean, loud)


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
def _tops(values: Any, count: int, penalty: Any, found: Any) -> None:
    """Fill `found` with the sums that `segment` finds in three rows: side by side, without a branch, they are quick."""
    a, b, c = values[0], values[1], values[2]
    x, y, z = 0.0, 0.0, 0.0
    best_x, best_y, best_z = 0.0, 0.0, 0.0
    for i in range(count):
        x = (x if x > 0.0 else 0.0) + (a[i] - penalty)
        y = (y if y > 0.0 else 0.0) + (b[i] - penalty)
        z = (z if z > 0.0 else 0.0) + (c[i] - penalty)
        best_x = x if x > best_x else best_x
        best_y = y if y > best_y else best_y
        best_z = z if z > best_z else best_z
    found[0], found[1], found[2] = best_x, best_y, best_z


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
    values, scores = np.empty((3, max(frames, bins)), np.float32), np.empty(3)
    best = 0.0
    for s in range(shallow.shape[0]):
        for off in range(-1, 2):
            origin, row = bin_ + off, values[off + 1]
            for t in range(frames):
                j = int(np.floor(origin + shallow[s] * (t - frame) + 0.5))
                row[t] = min(cap, w[t, j]) if 0 <= j < bins else 0.0
        _tops(values, frames, penalty, scores)
        for off in range(-1, 2):
            if scores[off + 1] > best * 1.02:
                best, first, last = segment(values[off + 1], frames, penalty)
                line[0], line[1], line[2], line[3] = frame, bin_ + off, shallow[s], 0.0
                where[0], where[1], where[2] = first, last, 0
    for s in range(steep.shape[0]):
        for off in range(-1, 2):
            origin, row = frame + off, values[off + 1]
            for j in range(bins):
                t = int(np.floor(origin + steep[s] * (j - bin_) + 0.5))
                row[j] = min(cap, w[t, j]) if 0 <= t < frames else 0.0
        _tops(values, bins, penalty, scores)
        for off in range(-1, 2):
            if scores[off + 1] * STEEP_SHARE > best * 1.02:
                score, first, last = segment(values[off + 1], bins, penalty)
                best = score * STEEP_SHARE
                line[0], line[1], line[2], line[3] = frame + off, bin_, 0.0, steep[s]
                where[0], where[1], where[2] = first, last, 1
    return best
