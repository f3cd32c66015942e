"""The shape of one pulse: the straight path through its cells, how long it lasts and how wide it is."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.pulsekernels import BLOCK, best_path
from sensing.detectors.shapekernels import CAP, EVEN_CAP, outline
from sensing.frontend import Float32s

PENALTY: Final = 2.2
THETA: Final = 0.84
"""Noise reaches a path's sum x over the penalty as rarely as exp(-0.84 x): 1 / (1 - t) = exp(2.2 t)."""
PATHS_NEPERS: Final = 5.0
"""Log of the number of paths that are tried through a cell."""
NEPERS_MIN: Final = 9.0
_UP: Final = (0.02, 0.03, 0.045, 0.06, 0.08, 0.1, 0.14, 0.18, 0.23, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
SLOPES: Final = np.array([0.0, *(s * way for s in _UP for way in (1, -1))])
"""Bins a frame."""
DELAYS: Final = np.array([0.0, *(s * way for s in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8) for way in (1, -1))])
"""Frames a bin, of paths too steep for one cell a frame."""
AROUND_LEAST: Final = 12
"""Frames that a side of a pulse must have for the power around the pulse to be measured there."""
APART: Final = 1
"""Bins between a pulse and what is beside it in frequency."""
PLACE_FRAMES, PLACE_BINS = 5, 12
"""A pulse that lasts so long at least, and is so wide at most, has a place whose surroundings are kept."""
NEAR, REACH = 4, 14
"""Frames before and after a pulse in which a radar is silent."""
MASKED: Final = 6.0
SHORT: Final = 8.0
"""A pulse of fewer frames may be only the end of a longer one."""
BESIDE: Final = 3
"""Most bins from a pulse to a busy channel that may hide the rest of it."""


@dataclass(frozen=True, slots=True)
class Region:
    """Cells (frames, bins) in backgrounds; `first` is the number of the first frame, `under` the background (bins,).

    `quiet` (bins,) is the bin's power where nothing is on, at most the background.
    """

    cells: Float32s
    first: int
    under: Float32s
    quiet: Float32s


@dataclass(frozen=True, slots=True)
class PulsePlace:
    """Cells (frames, bins) of a pulse's place and of what is beside it in frequency, over their background.

    `under` (bins,) is the background and `quiet` the power where nothing is on; the pulse lasts from the first to the
    last of `frames` and covers the bins from `place[0]` to `place[1]` (excluded).
    """

    cells: Float32s
    under: Float32s
    quiet: Float32s
    frames: tuple[int, int]
    place: tuple[int, int]

    def share(self) -> float:
        """Power a bin in the place before the pulse or after it, whichever is more, as a share of the pulse's own.

        The bins' quiet level and the power beside the place at that time are subtracted. What remains is high for a
        piece of a longer signal, and low for a pulse over traffic, which is wider than the pulse.
        """
        power = self.cells * self.under - self.quiet
        low, past = self.place
        most = 0.0
        for side in (power[: max(0, self.frames[0] - NEAR)], power[self.frames[1] + NEAR :]):
            if len(side) >= AROUND_LEAST:
                means = side.mean(axis=0)
                beside = (means[: max(0, low - APART)], means[past + APART :])
                under = max((float(one.mean()) for one in beside if one.size), default=0.0)
                most = max(most, float(means[low:past].mean()) - max(0.0, under))
        own = float(power[self.frames[0] : self.frames[1] + 1, low:past].mean())
        return most / max(own, 1e-30)


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseShape:
    """A pulse from frame `first` to `last` (excluded), `middle` weighted by energy, in bins `low_bin` to `high_bin`.

    `slope` is in bins per frame, `peak` in backgrounds; the rest as in `Pulse`.
    """

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
    surroundings: PulsePlace | None
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
    masked = _masked(region.under)
    found = _followed(region, at + seed, low + column, masked=masked, cap=CAP)
    if found is None or found.frames >= SHORT or masked.all():
        return found
    beside = masked[max(0, found.low_bin - BESIDE) : found.high_bin + BESIDE + 1]
    if not beside.any():
        return found
    # Of a sweep that leaves a busy channel only the end is detected: cells that count alike show the rest of it.
    whole = _followed(region, at + seed, low + column, masked=np.zeros_like(masked), cap=EVEN_CAP)
    return found if whole is None or whole.frames < SHORT else whole


def _followed(
    region: Region, frame: int, bin_: int, *, masked: NDArray[np.bool_], cap: np.float32
) -> PulseShape | None:
    """The pulse along the best path through a cell, in the frames and bins of the region; cells count up to `cap`.

    Args: masked (bins,): where a steady signal may hide a pulse.
    """
    w = region.cells
    line, where = np.zeros(4), np.zeros(3, np.int64)
    score = best_path(w, frame, bin_, SLOPES, DELAYS, PENALTY, cap, line, where)
    if score <= 0 or max(float(w[frame, bin_]), THETA * score - PATHS_NEPERS) < NEPERS_MIN:
        return None
    most = max(w.shape)
    frames, bins = np.empty(most, np.int64), np.empty(most, np.int64)
    values = np.empty(most, np.float32)
    count, low, high, wide = outline(w, region.under, masked, line, where, frames, bins, values)
    path = frames[:count], bins[:count], values[:count]
    seen = ~_masked(region.under)
    return _shape(region, line=line, steep=bool(where[2]), path=path, lit=(low, high, wide), seen=seen, score=score)


def _shape(
    region: Region,
    *,
    line: NDArray[np.float64],
    steep: bool,
    path: tuple[NDArray[np.int64], NDArray[np.int64], Float32s],
    lit: tuple[int, int, int],
    seen: NDArray[np.bool_],
    score: float,
) -> PulseShape:
    """Args: lit: lowest and highest offset across the path that is lit, and how many are."""
    frames, bins, values = path
    peak, across = float(values.max()), lit[2]
    weight = np.maximum(values - 1, 1e-6)
    delay = float(line[3])
    slope = (1 / delay if delay else 0.0) if steep else float(line[2])
    below, above = (0, 0) if steep else (lit[0], lit[1])
    low, high = int(bins.min()) + below, int(bins.max()) + above
    wide = high - low + 1
    long = across if steep else 0
    instant = across if not steep else (min(wide, 2 + 2 / abs(delay)) if delay else wide)
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
        surroundings=_surroundings(region, (int(frames.min()), int(frames.max())), (max(0, low), high)),
        nepers=max(peak, THETA * score - PATHS_NEPERS),
        under=region.under,
    )


def _beside_in_time(w: Float32s, frames: tuple[int, int], bins: tuple[int, int], mean: float) -> float:
    """Power in the pulse's bins just before or just after it, whichever is more, as a share of the pulse's own."""
    columns = w[:, bins[0] : bins[1] + 1]
    before = columns[max(0, frames[0] - REACH) : max(0, frames[0] - NEAR)]
    after = columns[frames[1] + NEAR : frames[1] + REACH]
    left = max((float(one.mean()) for one in (before, after) if one.size), default=1.0)
    return max(0.0, left - 1) / max(mean - 1, 0.1)


def _surroundings(region: Region, frames: tuple[int, int], bins: tuple[int, int]) -> PulsePlace | None:
    """The cells around a pulse; None for one shorter than PLACE_FRAMES or wider than PLACE_BINS."""
    wide = bins[1] - bins[0] + 1
    if frames[1] - frames[0] < PLACE_FRAMES or wide > PLACE_BINS:
        return None
    first = max(0, bins[0] - wide - APART)
    seen = slice(first, bins[1] + 1 + APART + wide)
    place = bins[0] - first, bins[1] + 1 - first
    return PulsePlace(region.cells[:, seen].copy(), region.under[seen], region.quiet[seen], frames, place)


def _masked(under: Float32s) -> NDArray[np.bool_]:
    """Bins in which a steady signal is so strong that it may hide a pulse."""
    place = (len(under) - 1) / 4
    below = int(place)
    ordered = np.partition(under, (below, min(below + 1, len(under) - 1)))
    quarter = ordered[below] + (ordered[min(below + 1, len(under) - 1)] - ordered[below]) * np.float32(place - below)
    return np.asarray(under > MASKED * quarter, np.bool_)
