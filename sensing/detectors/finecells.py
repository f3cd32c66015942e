"""Measures a weak train of pulses again in its samples, with filters as long as a pulse and a cell every quarter frame.

The search's cells are a microsecond apart and half a megahertz wide, so that a pulse between four of them lies in none:
of its energy a cell holds half on the mean. A train that the cells alone make probable is measured again by filters
that fit it. In noise the power of such a cell over its mean is exponential, as the search's is.
"""

from collections import deque
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.trainchecks import CAP, OWN_FRAMES, Course, surprise
from sensing.detectors.weakkernels import SCALE
from sensing.frontend import Float32s, Iq

FINE: Final = 4
"""Fine cells in a frame."""
WIDTHS_US: Final = (0.8, 1.2, 1.7, 2.4)
"""Lengths of the filters: pulses of P0N#1 last 0.5 to 2.5 us."""
OFFSETS: Final = (-1 / 3, 0.0, 1 / 3)
"""Frequencies of the filters, in bins beside the bin in which the train was found."""
PHASES: Final = np.arange(-6, 7)
"""Fine cells by which a train may come sooner or later than its cells told."""
STEPS: Final = np.arange(-5, 6) * 0.02
"""Frames by which its interval may be off."""
TRIED_NEPERS: Final = float(np.log(2 * len(WIDTHS_US) * len(OFFSETS) * 2))
"""Log of how many times as many sums are tried as by cells alone: either way of summing, filters, and half steps."""
MARGIN_FRAMES: Final = 8

Cplx = NDArray[np.complex128]


class SampleMemory:
    """The samples of the frames that are kept, in chunks."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[int, Iq]] = deque()

    def reset(self) -> None:
        """Drop all samples."""
        self._chunks.clear()

    def append(self, iq: Iq, *, frame: int, drop: int, hop: int) -> None:
        """Append the samples from a frame on, counted from the oldest kept, and drop those of the oldest `drop` frames.

        The array is not copied: the caller leaves it as it is.
        """
        self._chunks = deque((at - drop, some) for at, some in self._chunks if (at - drop) * hop + len(some) > 0)
        if len(iq):
            self._chunks.append((frame, iq))

    def part(self, first: int, last: int, hop: int) -> Cplx | None:
        """The samples of the frames from `first` up to `last`, without a gap; None where some are not kept."""
        found = [some[max(0, (first - at) * hop) : max(0, (last - at) * hop)] for at, some in self._chunks]
        found = [some for some in found if len(some)]
        if sum(map(len, found)) != (last - first) * hop:
            return None
        joined: NDArray[Any] = np.concatenate(found)
        if joined.dtype == np.complex64:
            return joined.astype(np.complex128)
        parts: Cplx = joined.astype(np.float64).view(np.complex128)[:, 0]
        return parts


def measured_finely(
    samples: SampleMemory, course: Course, under: Float32s, *, bin_: int, bins: int
) -> tuple[float, int] | None:
    """The sum of a train's fine cells in nepers, the largest of all filters, and its places; None without samples.

    What is as rare among the other cells of a filter counts no more, as in `surprise`.

    Args: under is the background of the train's bin at each frame kept, shape (frames,), 0 where nothing can be said;
        bins are those of a frame, which has bins // 2 samples more than the one before.
    """
    hop, frames = bins // 2, course.frames()
    first = max(0, int(frames[0]) - MARGIN_FRAMES)
    last = min(len(under), int(frames[-1]) + MARGIN_FRAMES + 1)
    z = samples.part(first, last, hop)
    if z is None:
        return None
    # A cell at frame f is centred one hop after that frame's first sample.
    here = replace(course, phase=(course.phase - first + 1) * FINE, pri=course.pri * FINE)
    known = np.repeat(under[first:last], FINE)
    best = 0.0
    for offset in OFFSETS:
        sums = _running_sums(z, (bin_ + offset - bins // 2) / bins)
        for width_us in WIDTHS_US:
            width = max(1, round(width_us * bins / 2))
            cells = _cells(sums, width, known, hop)
            best = max(best, _most(cells, here))
    return best, len(frames)


def _running_sums(z: Cplx, turns: float) -> Cplx:
    """Sums of all samples before each one, shape (n + 1,), after a shift down by so many turns a sample."""
    sums = np.empty(len(z) + 1, np.complex128)
    sums[0] = 0
    np.cumsum(z * np.exp(-2j * np.pi * turns * np.arange(len(z))), out=sums[1:])
    return sums


def _cells(sums: Cplx, width: int, known: Float32s, hop: int) -> NDArray[np.uint8]:
    """Powers of a filter over their middle level, as bytes times `SCALE`; 0 where nothing can be said."""
    middle = np.rint(np.arange(len(known)) * (hop / FINE)).astype(np.int64)
    low = np.clip(middle - width // 2, 0, len(sums) - 1)
    high = np.clip(low + width, 0, len(sums) - 1)
    power = np.abs(sums[high] - sums[low]) ** 2
    over = np.where((known > 0) & (high - low == width), power / np.maximum(known, 1e-30), 0.0)
    some = over[over > 0]
    if len(some) == 0:
        return np.zeros(len(known), np.uint8)
    level = float(np.median(some)) / np.log(2)  # of an exponential distribution
    cells: NDArray[np.uint8] = np.minimum(over * (SCALE / level), 255).astype(np.uint8)
    return cells


def _most(cells: NDArray[np.uint8], course: Course) -> float:
    """The largest sum of a train's cells, in nepers, over the phases and intervals near its own."""
    middle = (course.first + course.last) / 2
    turns = np.arange(course.first, course.last + 1) - middle
    at = course.phase + course.pri * middle + PHASES[:, None, None] + (course.pri + FINE * STEPS)[:, None] * turns
    where = np.floor(at + 0.5).astype(np.int64)
    values = np.minimum((cells[np.clip(where, 0, len(cells) - 1)] + 0.5) / SCALE, CAP).sum(axis=-1)
    late, step = np.unravel_index(int(values.argmax()), values.shape)
    counts = np.bincount(cells, minlength=256)
    rare = surprise(cells, at[late, step], counts, own=OWN_FRAMES * FINE)
    return min(float(values[late, step]), rare)
