"""Compiled search for straight paths of cells: sweeps, of whose cells none stands out alone.

A path is eight cells. In most blocks of noise none comes near the limit, so every path is summed in two steps: each
half of it once for all the paths that share it, and the halves together. Only where that says that some path is over
the limit is each path summed by itself, and the best told. Arrays of cells have the shape (frames, bins), float32.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.pulsekernels import BLOCK
from sensing.loops import compiled

STRIDE: Final = 2
"""Bins between the cells of a steep path: next neighbours share half their noise."""
PATH: Final = 8
HALF: Final = PATH // 2
PAD: Final = 8
"""Zeros on both sides of a row: as far as a shallow path moves, and a bit."""
SHAPES: Final = 7
SURELY: Final = 1 - 1e-5
"""Sums are rounded differently in two steps; this far below the limit none can be over it."""
SHALLOW: Final = np.array([1, -1, 2, -2, 3, -3, 5, -5, 7, -7], np.int64)
"""Rises over a block in bins. `_any_shallow` holds the same ones, as halves."""
STEEP_DELAYS: Final = np.array([0, 1, -1, 2, -2, 4, -4, 7, -7], np.int64)
"""Delays over PATH bins, STRIDE apart, in frames. `_any_steep` holds the same ones, as halves."""


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
def _steep_best(w: Any, places: Any, groups: int, total: Any, best: Any) -> tuple[Any, int]:
    """Highest sum over `best` of one cell in each of `PATH` bins, and the middle one of them; -1 if none.

    Args: w the cells of two blocks; places (paths, PATH) where in them the cells of each path begin in the lowest
        bins, counted bin by bin.
    """
    at = -1
    for group in range(groups):
        first = group * PATH
        for s in range(places.shape[0]):
            row = places[s]
            for t in range(BLOCK):
                total[t] = 0
            for k in range(PATH):
                j, late = first + row[k] // (2 * BLOCK), row[k] % (2 * BLOCK)
                for t in range(BLOCK):
                    total[t] += w[late + t, j]
            count = 0
            for t in range(BLOCK):
                count += 1 if total[t] > best else 0
            if count:
                for t in range(BLOCK):
                    if total[t] > best:
                        best, at = total[t], first + PATH
    return best, at


@compiled
def _half_sums(a: Any, b: Any, c: Any, d: Any, out: Any, count: int) -> None:
    """Sums of four cells, one from each row, along the halves that every path is made of; `out` (SHAPES, n).

    The shapes move by 0 0 0 0, 0 0 1 1, 0 1 1 2 and 0 1 2 3 from row to row, then the last three backwards, 1 1 0 0 and
    so on. All are one row's worth of additions each, shared by the paths they belong to.
    """
    # One row at a time: told of seven rows to fill at once the compiler takes no vector instructions.
    straight, slow, fast, steady = out[0], out[1], out[2], out[3]
    for x in range(count):
        straight[x] = (a[x] + b[x]) + (c[x] + d[x])
    for x in range(count):
        slow[x] = (a[x] + b[x]) + (c[x + 1] + d[x + 1])
    for x in range(count):
        fast[x] = (a[x] + b[x + 1]) + (c[x + 1] + d[x + 2])
    for x in range(count):
        steady[x] = (a[x] + b[x + 1]) + (c[x + 2] + d[x + 3])
    slow, fast, steady = out[4], out[5], out[6]
    for x in range(count):
        slow[x] = (a[x + 1] + b[x + 1]) + (c[x] + d[x])
    for x in range(count):
        fast[x] = (a[x + 2] + b[x + 1]) + (c[x + 1] + d[x])
    for x in range(count):
        steady[x] = (a[x + 3] + b[x + 2]) + (c[x + 1] + d[x])


@compiled
def _any_shallow(w: Any, early: Any, late: Any, bins: int, limit: Any) -> bool:
    """Whether some path of SHALLOW through the first block of `w`, padded with zeros, sums to more than `limit`."""
    n = w.shape[1]
    _half_sums(w[0], w[1], w[2], w[3], early, n - 3)
    _half_sums(w[4], w[5], w[6], w[7], late, n - 3)
    a, b, c, d, e, f, g = early[0], early[1], early[2], early[3], early[4], early[5], early[6]
    s, t, u, v, x, y, z = late[0], late[1], late[2], late[3], late[4], late[5], late[6]
    count = 0
    # From PAD on, and never below it, so that no index is negative: the compiler would have to test for that.
    for j in range(bins):
        best = a[j + 8] + s[j + 9]
        for_one = a[j + 8] + s[j + 7]
        best = for_one if for_one > best else best
        for_one = b[j + 8] + t[j + 9]
        best = for_one if for_one > best else best
        for_one = b[j + 8] + t[j + 10]
        best = for_one if for_one > best else best
        for_one = c[j + 8] + u[j + 11]
        best = for_one if for_one > best else best
        for_one = d[j + 8] + v[j + 12]
        best = for_one if for_one > best else best
        for_one = e[j + 7] + x[j + 6]
        best = for_one if for_one > best else best
        for_one = e[j + 7] + x[j + 5]
        best = for_one if for_one > best else best
        for_one = f[j + 6] + y[j + 3]
        best = for_one if for_one > best else best
        for_one = g[j + 5] + z[j + 1]
        best = for_one if for_one > best else best
        count += 1 if best > limit else 0
    return count > 0


@compiled
def _turned(w: Any, across: Any) -> None:
    """Fill `across` (HALF, halves * 2 * BLOCK) with the cells of two blocks in every other bin, bin by bin.

    Row k holds the bins k * STRIDE of each group of PATH bins: what the k-th cell of half a steep path may be.
    """
    halves = (across.shape[1] - PAD) // (2 * BLOCK)
    for k in range(HALF):
        row = across[k]
        for i in range(BLOCK):
            cells = w[BLOCK + i]
            for h in range(halves):
                at = h * 2 * BLOCK + i
                row[at] = row[at + BLOCK]
                row[at + BLOCK] = cells[PAD + h * PATH + k * STRIDE]


@compiled
def _any_steep(across: Any, sums: Any, groups: int, limit: Any) -> bool:
    """Whether some path of STEEP through two blocks as `_turned` leaves them sums to more than `limit`."""
    _half_sums(across[0], across[1], across[2], across[3], sums, sums.shape[1] - PAD)
    a, b, c, d, e, f, g = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6]
    count = 0
    for x in range(groups * 16):
        best = a[x] + a[x + 16]
        for_one = a[x] + a[x + 17]
        best = for_one if for_one > best else best
        for_one = b[x] + b[x + 17]
        best = for_one if for_one > best else best
        for_one = c[x] + c[x + 18]
        best = for_one if for_one > best else best
        for_one = d[x] + d[x + 20]
        best = for_one if for_one > best else best
        for_one = a[x + 1] + a[x + 16]
        best = for_one if for_one > best else best
        for_one = e[x + 1] + e[x + 16]
        best = for_one if for_one > best else best
        for_one = f[x + 2] + f[x + 16]
        best = for_one if for_one > best else best
        for_one = g[x + 4] + g[x + 16]
        best = for_one if for_one > best else best
        # Paths that begin in the second block are the next turn's: it has the block that they go on into.
        count += 1 if best > limit and (x & 8) == 0 else 0
    return count > 0


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
    w = np.zeros((2 * BLOCK, bins + 2 * PAD), np.float32)
    halves = max(1, bins // PATH)
    groups = max(0, (bins - PATH * STRIDE) // PATH + 1)
    across = np.zeros((HALF, halves * 2 * BLOCK + PAD), np.float32)
    rows = np.zeros((SHAPES, bins + 2 * PAD), np.float32), np.zeros((SHAPES, bins + 2 * PAD), np.float32)
    columns = np.zeros((SHAPES, halves * 2 * BLOCK + PAD), np.float32)
    total, short, inverse = np.empty(bins, np.float32), np.empty(BLOCK, np.float32), np.empty(bins, np.float32)
    surely = np.float32(SURELY) * limit
    filled = False
    for b in range(blocks):
        if not background[b, 0] < np.inf:
            filled = False
            continue
        floor = leak * loud[b]
        for j in range(bins):
            inverse[j] = np.float32(1) / max(background[b, j], floor)
        for i in range(BLOCK):
            row, cells, before = power[b * BLOCK + i], w[BLOCK + i, PAD : PAD + bins], w[i, PAD : PAD + bins]
            for j in range(bins):
                before[j] = cells[j]
                cells[j] = row[j] * inverse[j]
        _turned(w, across)
        if filled and found + 2 <= hits.shape[0]:
            best, at = limit, -1
            if _any_shallow(w, rows[0], rows[1], bins, surely):
                best, at = _shallow_best(w[:, PAD : PAD + bins], shallow, total, limit)
            if at >= 0:
                hits[found, 0], hits[found, 1], heights[found] = b - 1, at, best / PATH
                found += 1
            best, at = limit, -1
            if groups > 0 and _any_steep(across, columns, groups, surely):
                best, at = _steep_best(w[:, PAD : PAD + bins], places, groups, short, limit)
            if at >= 0:
                hits[found, 0], hits[found, 1], heights[found] = b - 1, at, best / PATH
                found += 1
        filled = True
    return found
