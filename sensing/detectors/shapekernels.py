"""Compiled: a straight path laid through the cells of a pulse, how far it is lit along its way, and how wide across.

Cells `w` have the shape (frames, bins), float32, in backgrounds. A line is (frame, bin, slope in bins a frame, slope in
frames a bin); a stretch of it is (first, one past the last, 1 where it is steep), frames, or bins where it is steep.
"""

from typing import Any, Final

import numpy as np

from sensing.detectors.pulsekernels import segment
from sensing.loops import compiled

TRIM: Final = 0.2
FITS: Final = 2
REFIT: Final = np.float32(3.0)
CAP: Final = np.float32(60.0)
EVEN_CAP: Final = np.float32(10.0)
EVEN_PENALTY: Final = 3.0
"""The largest of three cells of noise is 1.8 on average."""
SEEN: Final = np.float32(2.0)
PLAINLY: Final = np.float32(12.0)
LIT: Final = 0.1
REACH_ACROSS: Final = 12
"""Cells on each side of the path in which its width is looked for."""


@compiled
def _cell(w: Any, line: Any, steep: bool, at: int) -> tuple[int, int]:
    """Frame and bin of the cell of a path at a frame, or at a bin where it is steep; at the edge where it is beyond."""
    frames, bins = w.shape
    if steep:
        return min(frames - 1, max(0, int(np.floor(line[0] + line[3] * (at - line[1]) + 0.5)))), at
    return at, min(bins - 1, max(0, int(np.floor(line[1] + line[2] * (at - line[0]) + 0.5))))


@compiled
def _across(w: Any, frame: int, bin_: int, steep: bool, off: int) -> Any:
    """A cell so far beside one of a path, the nearest there is: in frames where the path is steep, else in bins."""
    if steep:
        return w[min(w.shape[0] - 1, max(0, frame + off)), bin_]
    return w[frame, min(w.shape[1] - 1, max(0, bin_ + off))]


@compiled
def _highest(w: Any, frame: int, bin_: int, steep: bool) -> Any:
    """The highest of a cell of a path and the two beside it."""
    return max(_across(w, frame, bin_, steep, -1), w[frame, bin_], _across(w, frame, bin_, steep, 1))


@compiled
def _refit(w: Any, line: Any, first: int, last: int, steep: bool) -> None:
    """Lay the line through the energy that is found beside it, where there is enough of it to tell."""
    count, total, sum_x, sum_y = 0, 0.0, 0.0, 0.0
    xs, ys, weights = np.empty(last - first), np.empty(last - first), np.empty(last - first)
    for at in range(first, last):
        frame, bin_ = _cell(w, line, steep, at)
        weight, moment = 0.0, 0.0
        for off in range(-2, 3):
            cell = min(CAP, max(np.float32(0), _across(w, frame, bin_, steep, off) - REFIT))
            weight += cell
            moment += cell * off
        if weight > 0:
            x, y = (bin_, frame) if steep else (frame, bin_)
            xs[count], ys[count], weights[count] = x, y + moment / weight, weight
            total += weight
            sum_x += weight * xs[count]
            sum_y += weight * ys[count]
            count += 1
    if count < 4:
        return
    mean_x, mean_y, spread, rise = sum_x / total, sum_y / total, 0.0, 0.0
    for i in range(count):
        spread += weights[i] * (xs[i] - mean_x) ** 2
        rise += weights[i] * (xs[i] - mean_x) * (ys[i] - mean_y)
    rise /= max(spread, 1e-9)
    if steep:
        line[0], line[1], line[2], line[3] = mean_y, mean_x, 0.0, rise
    else:
        line[0], line[1], line[2], line[3] = mean_x, mean_y, rise, 0.0


@compiled
def _widen(w: Any, line: Any, where: Any, masked: Any, cells: Any) -> None:
    """Let the stretch be what sums highest along the whole line, strong cells counting little more than weak ones."""
    steep = where[2] != 0
    length = w.shape[1] if steep else w.shape[0]
    for at in range(length):
        frame, bin_ = _cell(w, line, steep, at)
        cells[at] = min(EVEN_CAP, _highest(w, frame, bin_, steep))
        if steep and masked[at]:
            cells[at] = EVEN_PENALTY
    score, first, last = segment(cells, length, EVEN_PENALTY)
    if score > 0 and first < where[1] and last > where[0]:
        where[0], where[1] = first, last


@compiled
def _lit(values: Any, strength: Any, bins: Any, masked: Any, count: int) -> tuple[int, int]:
    """The stretch of a path from its first to its last bright cell: its loudest, and what is not far below the rest."""
    top, all_masked = 0, True
    for i in range(count):
        top = i if values[i] > values[top] else top
        all_masked = all_masked and masked[bins[i]]
    clear, known = np.empty(count, np.float32), 0
    for i in range(count):
        if values[i] > SEEN and (all_masked or not masked[bins[i]] or values[i] > PLAINLY):
            clear[known] = strength[i]
            known += 1
    limit = 0.0
    if known:
        limit = max(TRIM * np.median(clear[:known]), LIT * clear[:known].max())
    first, last = top, top
    for i in range(count):
        if values[i] > SEEN and strength[i] > limit:
            first, last = min(first, i), max(last, i)
    return first, last + 1


@compiled
def _wide(w: Any, frames: Any, bins: Any, count: int, steep: bool) -> tuple[int, int, int]:
    """How wide the path is across: the lowest and highest offset that is lit, and how many are; one gap is let be."""
    size = 2 * REACH_ACROSS + 1
    profile = np.zeros(size, np.float32)
    outside = np.float32(1) if steep else np.float32(0)
    for i in range(count):
        for k in range(size):
            frame, bin_ = frames[i], bins[i]
            if steep:
                frame += k - REACH_ACROSS
            else:
                bin_ += k - REACH_ACROSS
            inside = 0 <= frame < w.shape[0] and 0 <= bin_ < w.shape[1]
            profile[k] += w[frame, bin_] if inside else outside
    top = 0
    for k in range(size):
        profile[k] = max(np.float32(0), profile[k] / np.float32(count) - np.float32(1))
        top = k if profile[k] > profile[top] else top
    limit = max(LIT * profile[top], 2.5 / np.sqrt(count))
    low, high, lit = top, top, 1
    if profile[top] > limit:
        for k in range(top + 1, size):
            if k - high > 2:
                break
            if profile[k] > limit:
                high, lit = k, lit + 1
        for k in range(top - 1, -1, -1):
            if low - k > 2:
                break
            if profile[k] > limit:
                low, lit = k, lit + 1
    return low - REACH_ACROSS, high - REACH_ACROSS, lit


@compiled
def outline(
    w: Any, under: Any, masked: Any, line: Any, where: Any, frames: Any, bins: Any, values: Any
) -> tuple[int, int, int, int]:
    """Fit a line to a pulse and follow it: how many cells it has, lowest and highest offset that is lit, how many are.

    Args: under, masked (bins,): backgrounds, and where something steady is so strong that a pulse may go unseen. `line`
        and `where` are a first guess and become what was found; `frames`, `bins` and `values` its cells.
    """
    steep = where[2] != 0
    cells = np.empty(max(w.shape[0], w.shape[1]), np.float32)
    for _ in range(FITS):
        _refit(w, line, where[0], where[1], steep)
        _widen(w, line, where, masked, cells)
    count = where[1] - where[0]
    strength = np.empty(count, np.float32)
    for i in range(count):
        frames[i], bins[i] = _cell(w, line, steep, where[0] + i)
        values[i] = _highest(w, frames[i], bins[i], steep)
        strength[i] = (values[i] - np.float32(1)) * under[bins[i]]
    first, last = _lit(values, strength, bins, masked, count)
    count = last - first
    for i in range(count):
        frames[i], bins[i], values[i] = frames[first + i], bins[first + i], values[first + i]
    low, high, lit = _wide(w, frames, bins, count, steep)
    return count, low, high, lit
