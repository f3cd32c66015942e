"""Compiled search for straight paths of cells: sweeps, of whose cells none stands out alone.

A path is eight cells. In most blocks of noise none comes near the limit. So cells are first rounded up to small whole
numbers, of which a processor adds many at once, and some blocks are looked at together: every path is summed in two
steps, each half of it once for all the paths that share it, and the halves together. Only where that says that some
path may be over the limit is each path of the block summed by itself, exactly, and the best told. Arrays of cells have
the shape (frames, bins), float32.
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
WHOLE: Final = 2000
"""What the limit becomes in whole numbers. No cell counts for more than twice that: eight of them fit 16 bits."""
TOGETHER_CELLS: Final = 1280
"""Cells of a row that are looked at together, of as many blocks as that holds: all sums of them stay near the core."""
SHALLOW: Final = np.array([1, -1, 2, -2, 3, -3, 5, -5, 7, -7], np.int64)
"""Rises over a block in bins. `_shallow_sums` holds the same ones, as halves."""
STEEP_DELAYS: Final = np.array([0, 1, -1, 2, -2, 4, -4, 7, -7], np.int64)
"""Delays over PATH bins, STRIDE apart, in frames. `_steep_sums` holds the same ones, as halves."""


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
def _half_sums(a: Any, b: Any, c: Any, d: Any, pair: Any, out: Any, count: int) -> None:
    """Sums of four cells, one from each row, along the halves that every path is made of; `out` (SHAPES, n).

    The shapes move by 0 0 0 0, 0 0 1 1, 0 1 1 2 and 0 1 2 3 from row to row, then the last three backwards, 1 1 0 0 and
    so on. All are one row's worth of additions each, shared by the paths they belong to. `pair` (3, n) is for sums of
    two rows that several halves share.
    """
    # One row at a time: told of seven rows to fill at once the compiler takes no vector instructions.
    first, last, inner = pair[0], pair[1], pair[2]
    for x in range(count + 3):
        first[x] = np.uint16(a[x] + b[x])
    for x in range(count + 3):
        last[x] = np.uint16(c[x] + d[x])
    for x in range(count + 3):
        inner[x] = np.uint16(b[x] + c[x])
    straight, slow, fast, steady = out[0], out[1], out[2], out[3]
    for x in range(count):
        straight[x] = np.uint16(first[x] + last[x])
    for x in range(count):
        slow[x] = np.uint16(first[x] + last[x + 1])
    for x in range(count):
        fast[x] = np.uint16(a[x] + inner[x + 1] + d[x + 2])
    for x in range(count):
        steady[x] = np.uint16(a[x] + b[x + 1] + c[x + 2] + d[x + 3])
    slow, fast, steady = out[4], out[5], out[6]
    for x in range(count):
        slow[x] = np.uint16(first[x + 1] + last[x])
    for x in range(count):
        fast[x] = np.uint16(a[x + 2] + inner[x + 1] + d[x])
    for x in range(count):
        steady[x] = np.uint16(a[x + 3] + b[x + 2] + c[x + 1] + d[x])


@compiled
def _greater(one: Any, two: Any) -> Any:
    """The greater of two whole numbers of 16 bits."""
    return one if one > two else two


@compiled
def _shallow_sums(early: Any, late: Any, count: int, best: Any) -> None:
    """Fill `best` with the greatest sum of each bin, PAD cells further on, along the paths of SHALLOW."""
    # From PAD on, and never below it, so that no index is negative: the compiler would have to test for that.
    a, b, c, d, e, f, g = early[0], early[1], early[2], early[3], early[4], early[5], early[6]
    s, t, u, v, x, y, z = late[0], late[1], late[2], late[3], late[4], late[5], late[6]
    for j in range(count):
        most = np.uint16(a[j + 8] + s[j + 9])
        most = _greater(most, np.uint16(a[j + 8] + s[j + 7]))
        most = _greater(most, np.uint16(b[j + 8] + t[j + 9]))
        most = _greater(most, np.uint16(b[j + 8] + t[j + 10]))
        most = _greater(most, np.uint16(c[j + 8] + u[j + 11]))
        most = _greater(most, np.uint16(d[j + 8] + v[j + 12]))
        most = _greater(most, np.uint16(e[j + 7] + x[j + 6]))
        most = _greater(most, np.uint16(e[j + 7] + x[j + 5]))
        most = _greater(most, np.uint16(f[j + 6] + y[j + 3]))
        best[j] = _greater(most, np.uint16(g[j + 5] + z[j + 1]))


@compiled
def _steep_sums(sums: Any, apart: int, count: int, best: Any) -> None:
    """Fill `best` with the greatest sum of each beginning along the paths of STEEP_DELAYS.

    Args: apart from the first half of a path to its second.
    """
    a, b, c, d, e, f, g = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6]
    # Slices, so that no index is a sum with something unknown in it: the compiler would have to test for that.
    s, t, u, v = a[apart:], b[apart:], c[apart:], d[apart:]
    x, y, z = e[apart:], f[apart:], g[apart:]
    for j in range(count):
        most = np.uint16(a[j] + s[j])
        most = _greater(most, np.uint16(a[j] + s[j + 1]))
        most = _greater(most, np.uint16(a[j + 1] + s[j]))
        most = _greater(most, np.uint16(b[j] + t[j + 1]))
        most = _greater(most, np.uint16(c[j] + u[j + 2]))
        most = _greater(most, np.uint16(d[j] + v[j + 4]))
        most = _greater(most, np.uint16(e[j + 1] + x[j]))
        most = _greater(most, np.uint16(f[j + 2] + y[j]))
        best[j] = _greater(most, np.uint16(g[j + 4] + z[j]))


@compiled
def _mark(best: Any, row: int, width: int, rows: int, marks: Any) -> None:
    """Mark each stretch of `row` sums, every `width`, of which one comes to WHOLE."""
    count = 0
    for x in range(best.shape[0]):
        count += 1 if best[x] >= WHOLE else 0
    if count == 0:
        return
    for r in range(rows):
        for x in range(r * width, r * width + row):
            marks[r] = marks[r] or best[x] >= WHOLE


@compiled
def _rounded_up(power: Any, inverse: Any, scale: Any, out: Any) -> None:
    """Fill `out` with powers over their backgrounds, times `scale`, in whole numbers that are no less."""
    for j in range(inverse.shape[0]):
        value = power[j] * inverse[j] * scale
        out[j] = np.uint16((value if value < np.float32(2 * WHOLE) else np.float32(2 * WHOLE)) + np.float32(1))


@compiled
def _turned(rows: Any, width: int, blocks: int, bins: int, across: Any) -> None:
    """Fill `across` (HALF, halves * frames) with the cells of `blocks` blocks in every other bin, bin by bin.

    Row k holds the bins k * STRIDE of each group of PATH bins: what the k-th cell of half a steep path may be.

    Args: rows (BLOCK, n), the i-th frames of all blocks, each of `width` cells, those of PAD bins before the first.
    """
    frames = blocks * BLOCK
    for k in range(HALF):
        row = across[k]
        for h in range(max(1, bins // PATH)):
            at, from_ = h * frames, PAD + h * PATH + k * STRIDE
            for b in range(blocks):
                for i in range(BLOCK):
                    row[at + b * BLOCK + i] = rows[i, b * width + from_]


@compiled
def _inverse(background: Any, floor: Any, out: Any) -> None:
    """Fill `out` with one over the background, which is at least `floor`."""
    for j in range(out.shape[0]):
        out[j] = np.float32(1) / max(background[j], floor)


@compiled
def path_hits(
    power: Any, background: Any, loud: Any, leak: Any, limit: Any, shallow: Any, places: Any, hits: Any, heights: Any
) -> int:
    """Blocks and bins through which a straight path of `PATH` cells sums to more than `limit` backgrounds.

    `shallow` are rises in bins over a block, `places` steep paths as `steep_places` makes them. Returns how many rows
    of `hits` (block, bin) and `heights` (mean cell) were filled, at most one for each block and kind of path.
    """
    blocks, bins = background.shape
    found, width, halves = 0, bins + 2 * PAD, max(1, bins // PATH)
    groups = max(0, (bins - PATH * STRIDE) // PATH + 1)
    most = max(2, TOGETHER_CELLS // width)
    rows = np.zeros((BLOCK, most * width + PAD), np.uint16)
    pair = np.zeros((3, max(most * width, halves * most * BLOCK) + PAD), np.uint16)
    early, late = np.zeros((SHAPES, most * width + PAD), np.uint16), np.zeros((SHAPES, most * width + PAD), np.uint16)
    across = np.zeros((HALF, halves * most * BLOCK + PAD), np.uint16)
    sums = np.zeros((SHAPES, halves * most * BLOCK + PAD), np.uint16)
    flat = np.zeros(most * width, np.uint16)
    tall = np.zeros(groups * most * BLOCK, np.uint16)
    inverse, w = np.empty(bins, np.float32), np.empty((2 * BLOCK, bins), np.float32)
    total, short = np.empty(bins, np.float32), np.empty(BLOCK, np.float32)
    marked, steep = np.zeros(most, np.bool_), np.zeros(groups * most, np.bool_)
    scale = np.float32(WHOLE) / limit
    # The last block of each turn is the first of the next: steep paths go on into it.
    for start in range(0, blocks - 1, most - 1):
        count = min(most, blocks - start)
        for b in range(count):
            if background[start + b, 0] < np.inf:
                _inverse(background[start + b], leak * loud[start + b], inverse)
                for i in range(BLOCK):
                    at = b * width + PAD
                    _rounded_up(power[(start + b) * BLOCK + i], inverse, scale, rows[i, at : at + bins])
            else:
                for i in range(BLOCK):
                    rows[i, b * width : (b + 1) * width] = 0
        marked[:] = False
        _half_sums(rows[0], rows[1], rows[2], rows[3], pair, early, count * width)
        _half_sums(rows[4], rows[5], rows[6], rows[7], pair, late, count * width)
        _shallow_sums(early, late, count * width - 2 * PAD, flat)
        _mark(flat[: count * width - 2 * PAD], bins, width, count - 1, marked)
        if groups > 0:
            frames = count * BLOCK
            _turned(rows, width, count, bins, across)
            _half_sums(across[0], across[1], across[2], across[3], pair, sums, halves * frames)
            _steep_sums(sums, frames, groups * frames, tall)
            steep[:] = False
            _mark(tall[: groups * frames], BLOCK, BLOCK, groups * count, steep)
            for x in range(groups * count):
                marked[x % count] = marked[x % count] or steep[x]
        for b in range(count - 1):
            block = start + b
            both = background[block, 0] < np.inf and background[block + 1, 0] < np.inf
            if not (marked[b] and both and found + 2 <= hits.shape[0]):
                continue
            for n in range(2):
                _inverse(background[block + n], leak * loud[block + n], inverse)
                for i in range(BLOCK):
                    row, cells = power[(block + n) * BLOCK + i], w[n * BLOCK + i]
                    for j in range(bins):
                        cells[j] = row[j] * inverse[j]
            best, at = _shallow_best(w, shallow, total, limit)
            if at >= 0:
                hits[found, 0], hits[found, 1], heights[found] = block, at, best / PATH
                found += 1
            best, at = _steep_best(w, places, groups, short, limit)
            if at >= 0:
                hits[found, 0], hits[found, 1], heights[found] = block, at, best / PATH
                found += 1
    return found
