"""Compiled loops of the pulse search: block means and maxima, backgrounds, sums along straight paths, best path.

Arrays of cells have the shape (frames or blocks, bins), float32, lowest frequency first. A block is `BLOCK` frames.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Compiled = TypeVar("Compiled", bound=Callable[..., Any])

BLOCK: Final = 8
SIDE: Final = 4
STRIDE: Final = 2
"""Bins between the cells of a steep path: next neighbours share half their noise."""
PATH: Final = 8
MASK: Final = 0xFFFFFF
"""Tells the compiler that an index is not negative, so that it needs no test for that."""
STEEP_SHARE: Final = 0.6
"""Of the cells of a steep path that are independent: next neighbours in frequency overlap by half."""


def compiled(function: Compiled) -> Compiled:
    """Compile at the first call; sums may be taken in any order. Code is kept where the folder can be written."""
    options = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}
    try:
        return cast("Compiled", njit(cache=True, **options)(function))
    except RuntimeError:  # no folder to keep compiled code in
        return cast("Compiled", njit(**options)(function))


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


def steep_places(delays: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in two blocks of cells, bin by bin, the cells of steep paths begin, (paths, PATH).

    Args: delays in frames over `PATH` bins, `STRIDE` apart; falling ones are negative.
    """
    step = np.arange(PATH)
    late = np.rint(step * np.abs(delays)[:, None] / (PATH - 1)).astype(np.int64)
    bins = STRIDE * np.where(delays[:, None] >= 0, step, PATH - 1 - step)
    return bins * 2 * BLOCK + late


@compiled
def _over(values: Any, limit: Any) -> int:
    """How many values are over the limit: counted, so that it is one vector instruction after another."""
    count = 0
    for j in range(values.shape[0]):
        count += 1 if values[j] > limit else 0
    return count


@compiled
def _shallow_best(w: Any, rises: Any, total: Any, best: Any) -> tuple[Any, int]:
    """Highest sum over `best` of a cell of each of the first `BLOCK` frames, and the bin in its middle; -1 if none."""
    bins, at = w.shape[1], -1
    for s in range(rises.shape[0]):
        rise = rises[s]
        total[:] = 0
        for i in range(BLOCK):
            move = round(i * rise / (BLOCK - 1))
            low, high = max(0, -move), min(bins, bins - move)
            into, cells = total[low:high], w[i, low + move : high + move]
            for j in range(into.shape[0]):
                into[j] += cells[j]
        if _over(total, best):
            for j in range(bins):
                if total[j] > best:
                    best, at = total[j], min(bins - 1, max(0, j + rise // 2))
    return best, at


@compiled
def _steep_best(across: Any, places: Any, groups: int, total: Any, best: Any) -> tuple[Any, int]:
    """Highest sum over `best` of one cell in each of `PATH` bins, and the middle one of them; -1 if none.

    Args: across (bins * 2 * BLOCK,) the cells of two blocks, bin by bin; places (paths, PATH) where in it the cells of
        each path begin in the lowest bins.
    """
    at = -1
    for group in range(groups):
        first = group * PATH
        begin = first * 2 * BLOCK
        for s in range(places.shape[0]):
            row = places[s]
            for t in range(BLOCK):
                total[t] = 0
            for k in range(PATH):
                from_ = (begin + row[k]) & MASK
                for t in range(BLOCK):
                    total[t] += across[from_ + t]
            count = 0
            for t in range(BLOCK):
                count += 1 if total[t] > best else 0
            if count:
                for t in range(BLOCK):
                    if total[t] > best:
                        best, at = total[t], first + PATH
    return best, at


@compiled
def path_hits(
    power: Any, background: Any, loud: Any, leak: Any, limit: Any, shallow: Any, places: Any, hits: Any, heights: Any
) -> int:
    """Blocks and bins through which a straight path of `PATH` cells sums to more than `limit` backgrounds.

    `shallow` are rises in bins over a block, `places` steep paths as `steep_places` makes them. Returns how many rows
    of `hits` (block, bin) and `heights` (mean cell) were filled, at most one for each block and kind of path.
    """
    blocks, bins = background.shape
    found = 0
    w = np.empty((2 * BLOCK, bins), np.float32)
    across = np.empty((bins, 2 * BLOCK), np.float32)
    flat = across.reshape(-1)
    groups = max(0, (bins - PATH * STRIDE) // PATH + 1)
    total, short = np.empty(bins, np.float32), np.empty(BLOCK, np.float32)
    inverse = np.empty(bins, np.float32)
    filled = False
    for b in range(blocks):
        if not background[b, 0] < np.inf:
            filled = False
            continue
        floor = leak * loud[b]
        for j in range(bins):
            inverse[j] = np.float32(1) / max(background[b, j], floor)
        for i in range(BLOCK):
            row, cells, before = power[b * BLOCK + i], w[BLOCK + i], w[i]
            for j in range(bins):
                before[j] = cells[j]
                cells[j] = row[j] * inverse[j]
        for j in range(bins):
            cells = across[j]
            for i in range(BLOCK):
                cells[i] = cells[BLOCK + i]
                cells[BLOCK + i] = w[BLOCK + i, j]
        if filled and found + 2 <= hits.shape[0]:
            best, at = _shallow_best(w, shallow, total, limit)
            if at >= 0:
                hits[found, 0], hits[found, 1], heights[found] = b - 1, at, best / PATH
                found += 1
            best, at = _steep_best(flat, places, groups, short, limit)
            if at >= 0:
                hits[found, 0], hits[found, 1], heights[found] = b - 1, at, best / PATH
                found += 1
        filled = True
    return found


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
