"""The shape of one pulse: the straight path through its cells, how long it lasts and how wide it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.pulsekernels import BLOCK, best_path, segment
from sensing.frontend import Float32s

PENALTY: Final = 2.2
THETA: Final = 0.84
"""Noise reaches a path's sum x over the penalty as rarely as exp(-0.84 x): 1 / (1 - t) = exp(2.2 t)."""
PATHS_NEPERS: Final = 5.0
"""Log of the number of paths that are tried through a cell."""
CAP: Final = 60.0
NEPERS_MIN: Final = 9.0
_UP: Final = (0.02, 0.03, 0.045, 0.06, 0.08, 0.1, 0.14, 0.18, 0.23, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
SLOPES: Final = np.array([0.0, *(s * way for s in _UP for way in (1, -1))])
"""Bins a frame."""
DELAYS: Final = np.array([0.0, *(s * way for s in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8) for way in (1, -1))])
"""Frames a bin, of paths too steep for one cell a frame."""
TRIM: Final = 0.2
FITS: Final = 2
REFIT: Final = 3.0
EVEN_CAP: Final = 10.0
EVEN_PENALTY: Final = 3.0
"""The largest of three cells of noise is 1.8 on average."""
SEEN: Final = 2.0
PLAINLY: Final = 12.0
NEAR, REACH = 4, 14
"""Frames before and after a pulse in which a radar is silent."""
MASKED: Final = 6.0
LIT: Final = 0.1


@dataclass(frozen=True, slots=True)
class Region:
    """Cells (frames, bins) in backgrounds; `first` is the number of the first frame, `under` the background (bins,)."""

    cells: Float32s
    first: int
    under: Float32s


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseShape:
    """Frames from `first` to `last` (excluded) and their energy's `middle`; bins; `slope` in bins a frame."""

    first: int
    last: int
    middle: float
    frames: float
    low_bin: int
    high_bin: int
    peak_bin: int
    peak: float
    instant_bins: float
    slope: float
    span: float
    beside: float
    nepers: float
    under: Float32s


def describe(region: Region, frame: int, bin_: int) -> PulseShape | None:
    """The pulse that a candidate in the block from `frame` on is part of; None where nothing stands out.

    Args: frame numbered as in the region; bin_ of the candidate.
    """
    w = region.cells
    at = frame - region.first
    low = max(0, bin_ - 2)
    near = w[at : at + 2 * BLOCK, low : bin_ + 3]
    if near.size == 0:
        return None
    seed, column = (int(i) for i in np.unravel_index(int(near.argmax()), near.shape))
    line, where = np.zeros(4), np.zeros(3, np.int64)
    score = best_path(w, at + seed, low + column, SLOPES, DELAYS, PENALTY, CAP, line, where)
    if score <= 0 or max(float(w[at + seed, low + column]), THETA * score - PATHS_NEPERS) < NEPERS_MIN:
        return None
    along = _steep if where[2] else _shallow
    masked = _masked(region.under)
    for _ in range(FITS):
        _refit(w, line, *along(w, line, where), steep=bool(where[2]))
        _widen(w, line, where, along, masked)
    frames, bins = along(w, line, where)
    values = _beside(w, frames, bins, steep=bool(where[2]), reach=1).max(axis=1)
    top = int(values.argmax())
    strength = (values - 1) * region.under[bins]
    clear = values > SEEN
    if not masked[bins].all():
        clear &= ~masked[bins] | (values > PLAINLY)
    typical, most = (float(f(strength[clear])) if clear.any() else 0.0 for f in (np.median, np.max))
    bright = (values > SEEN) & (strength > max(TRIM * typical, LIT * most))
    bright[top] = True
    lit = np.flatnonzero(bright)
    keep = np.arange(lit[0], lit[-1] + 1)
    frames, bins, values = frames[keep], bins[keep], values[keep]
    profile, offsets = _profile(w, frames, bins, steep=bool(where[2]))
    width = _run(profile > max(LIT * float(profile.max()), 2.5 / np.sqrt(len(values))), int(profile.argmax()))
    peak = float(values.max())
    return _shape(
        region, line=line, where=where, path=(frames, bins, values), lit=offsets[width], peak=peak, score=score
    )


def _refit(
    w: Float32s, line: NDArray[np.float64], frames: NDArray[np.int64], bins: NDArray[np.int64], *, steep: bool
) -> None:
    """Lay the line through the energy that is found beside it, where there is enough of it to tell."""
    cells = np.minimum(np.maximum(_beside(w, frames, bins, steep=steep, reach=2) - REFIT, 0), CAP)
    weight = cells.sum(axis=1)
    lit = weight > 0
    if np.count_nonzero(lit) < 4:
        return
    x = (bins if steep else frames)[lit].astype(np.float64)
    y = (frames if steep else bins)[lit] + cells[lit] @ np.arange(-2, 3) / weight[lit]
    mean_x, mean_y = np.average(x, weights=weight[lit]), np.average(y, weights=weight[lit])
    spread = float(weight[lit] @ (x - mean_x) ** 2)
    rise = float(weight[lit] @ ((x - mean_x) * (y - mean_y))) / max(spread, 1e-9)
    if steep:
        line[:] = (mean_y, mean_x, 0.0, rise)
    else:
        line[:] = (mean_x, mean_y, rise, 0.0)


def _widen(
    w: Float32s, line: NDArray[np.float64], where: NDArray[np.int64], along: "Along", masked: NDArray[np.bool_]
) -> None:
    """Let the stretch be what sums highest along the whole line, strong cells counting little more than weak ones."""
    whole = np.array([0, w.shape[1] if where[2] else w.shape[0], where[2]])
    frames, bins = along(w, line, whole)
    cells = np.minimum(_beside(w, frames, bins, steep=bool(where[2]), reach=1).max(axis=1), EVEN_CAP)
    if where[2]:
        cells[masked] = EVEN_PENALTY
    score, first, last = segment(cells, len(cells), EVEN_PENALTY)
    if score > 0 and first < where[1] and last > where[0]:
        where[0], where[1] = first, last


def _beside(w: Float32s, frames: NDArray[np.int64], bins: NDArray[np.int64], *, steep: bool, reach: int) -> Float32s:
    """Cells (path, 2 reach + 1) across the path: in frames where it is steep, in bins where it is not."""
    offsets = np.arange(-reach, reach + 1)
    if steep:
        cells = w[np.clip(frames[:, None] + offsets, 0, w.shape[0] - 1), bins[:, None]]
    else:
        cells = w[frames[:, None], np.clip(bins[:, None] + offsets, 0, w.shape[1] - 1)]
    return np.asarray(cells, np.float32)


def _shape(
    region: Region,
    *,
    line: NDArray[np.float64],
    where: NDArray[np.int64],
    path: tuple[NDArray[np.int64], NDArray[np.int64], Float32s],
    lit: NDArray[np.int64],
    peak: float,
    score: float,
) -> PulseShape:
    frames, bins, values = path
    steep = bool(where[2])
    weight = np.maximum(values - 1, 1e-6)
    delay = float(line[3])
    slope = (1 / delay if delay else 0.0) if steep else float(line[2])
    below, above = (0, 0) if steep else (int(lit[0]), int(lit[-1]))
    low, high = int(bins.min()) + below, int(bins.max()) + above
    wide = high - low + 1
    seen = ~_masked(region.under)
    long = len(lit) if steep else 0
    instant = len(lit) if not steep else (min(wide, 2 + 2 / abs(delay)) if delay else wide)
    duration = float(frames.max() - frames.min()) + (max(0, long - 1) if steep else 0)
    return PulseShape(
        first=region.first + int(frames.min()),
        last=region.first + int(frames.max()) + 1,
        middle=region.first + float(frames @ weight / weight.sum()),
        frames=duration,
        low_bin=max(0, low),
        high_bin=min(region.cells.shape[1] - 1, high),
        peak_bin=int(bins[int(values.argmax())]),
        peak=peak,
        instant_bins=float(instant),
        slope=slope,
        span=float(seen[max(0, low) : high + 1].sum() / max(1, seen.sum())),
        beside=_beside_in_time(
            region.cells, (int(frames.min()), int(frames.max())), (max(0, low), high), float(values.mean())
        ),
        nepers=max(peak, THETA * score - PATHS_NEPERS),
        under=region.under,
    )


def _shallow(
    w: Float32s, line: NDArray[np.float64], where: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frames and bins of the cells of a path with one cell a frame."""
    frames = np.arange(where[0], where[1])
    bins = np.floor(line[1] + line[2] * (frames - line[0]) + 0.5).astype(np.int64)
    return frames, np.clip(bins, 0, w.shape[1] - 1)


def _steep(
    w: Float32s, line: NDArray[np.float64], where: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frames and bins of the cells of a path with one cell a bin."""
    bins = np.arange(where[0], where[1])
    frames = np.floor(line[0] + line[3] * (bins - line[1]) + 0.5).astype(np.int64)
    return np.clip(frames, 0, w.shape[0] - 1), bins


def _profile(
    w: Float32s, frames: NDArray[np.int64], bins: NDArray[np.int64], *, steep: bool
) -> tuple[Float32s, NDArray[np.int64]]:
    """Mean rise over the background beside the path: across bins, or across frames where it is steep."""
    reach = 12
    offsets = np.arange(-reach, reach + 1)
    if steep:
        rows = frames[:, None] + offsets
        inside = (rows >= 0) & (rows < w.shape[0])
        cells = np.where(inside, w[np.clip(rows, 0, w.shape[0] - 1), bins[:, None]], 1)
    else:
        columns = bins[:, None] + offsets
        inside = (columns >= 0) & (columns < w.shape[1])
        cells = np.where(inside, w[frames[:, None], np.clip(columns, 0, w.shape[1] - 1)], 0)
    return np.maximum(cells.mean(axis=0) - 1, 0).astype(np.float32), offsets


def _beside_in_time(w: Float32s, frames: tuple[int, int], bins: tuple[int, int], mean: float) -> float:
    """What is left in the pulse's bins just before and just after it, whichever is more, as a share of the pulse."""
    columns = w[:, bins[0] : bins[1] + 1]
    before = columns[max(0, frames[0] - REACH) : max(0, frames[0] - NEAR)]
    after = columns[frames[1] + NEAR : frames[1] + REACH]
    left = max((float(one.mean()) for one in (before, after) if one.size), default=1.0)
    return max(0.0, left - 1) / max(mean - 1, 0.1)


def _masked(under: Float32s) -> NDArray[np.bool_]:
    """Bins in which something steady is so strong that a pulse may go unseen."""
    return np.asarray(under > MASKED * np.quantile(under, 0.25), np.bool_)


Along = Callable[[Float32s, NDArray[np.float64], NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64]]]


def _run(good: NDArray[np.bool_], top: int) -> NDArray[np.int64]:
    """Indices of the run that holds `top`, one bad one allowed in between."""
    where = np.flatnonzero(good)
    runs = np.split(where, np.flatnonzero(np.diff(where) > 2) + 1)
    found = next((run for run in runs if top in run), np.array([top]))
    return found.astype(np.int64)
