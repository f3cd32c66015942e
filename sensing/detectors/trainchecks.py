"""Checks of a train detected by its sum only: rare cells, no clicks of a carrier, no shorter period, its length.

Cells are powers over their backgrounds times `SCALE`, uint8, shape (frames,) for one bin or (frames, bins); 0 where
nothing can be said.
"""

from dataclasses import dataclass
from itertools import product
from math import ceil, floor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.weakkernels import SCALE
from sensing.frontend import Float32s
from sensing.probability import binomial_sf
from sensing.specials import gammaincc

CAP: Final = 14.0
REPEAT_SHARE: Final = 0.6
OWN_FRAMES: Final = 3
LONG_LEAST: Final = 5
LONG_FRAMES: Final = (4, 8, 16)
"""Numbers of frames beside a pulse that are summed and compared with as many elsewhere."""
BESIDE_FRAMES: Final = 6
FAR_FRAMES: Final = 40
LONG_SURE: Final = 4.5
LONG_SHARE: Final = 0.15
"""Least power beside a long pulse, as a share of its strongest frame's: that frame has more because chance added to it,
else a long pulse would have as much beside it as in it."""
STRONGER: Final = 4.0
"""Least ratio of a steady signal to a train's pulses for the pulses to be that signal's clicks."""
CHANCE: Final = 1e-4
PRI_OFF: Final = (0.0, -0.01, 0.01, -0.02, 0.02, -0.03, 0.03)
PHASE_OFF: Final = (0.0, -0.5, 0.5)
LIT: Final = 2.0
"""Ratio to the background from which a cell counts as occupied."""
PLACES_LEAST: Final = 6
PENALTY: Final = 2.4
"""Least ratio to the background of a place that makes a train longer."""

Cells = NDArray[np.uint8]
Frames = NDArray[np.floating[Any]]


def surprise(cells: Cells, frames: Frames, counts: NDArray[np.int64], *, own: int = OWN_FRAMES) -> float:
    """How rare a train's cells are among the other cells of their bin: a sum of nepers over its places.

    In noise that is the sum of the cells themselves. Beside traffic a bin has more cells that stand out than noise
    makes, and a train of them means less.

    Args: counts how many cells of the bin have each value, shape (256,); own are the cells on either side of a place
        that may hold a part of its pulse.
    """
    at = np.floor(frames + 0.5).astype(np.int64)
    at = at[(at >= 0) & (at < len(cells))]
    around = np.clip(at[:, None] + np.arange(-own, own + 1), 0, len(cells) - 1)
    counts = counts - np.bincount(cells[np.unique(around)], minlength=256)
    counts[0] = 0
    others = np.cumsum(counts[::-1])[::-1] / max(1, counts.sum())
    rare = -np.log(np.maximum(others, 1e-12))
    alone = np.minimum((np.arange(256) + 0.5) / SCALE, CAP)
    return float(np.minimum(rare, alone)[cells[at]].sum())


@dataclass(frozen=True, slots=True)
class Course:
    """The places of a train in a bin's cells: frame of place 0, frames per place, its first and last place."""

    phase: float
    pri: float
    first: int
    last: int

    @property
    def turns(self) -> int:
        """Intervals from its first to its last place."""
        return self.last - self.first

    def frames(self) -> NDArray[np.float64]:
        """The frames of its places, in time order."""
        return np.asarray(self.phase + self.pri * np.arange(self.first, self.last + 1), np.float64)


def reach(cells: Cells, course: Course) -> Course:
    """Extend a train as far as its steps go on through its bin's cells, before and after the known part.

    A search finds the surest part of a train. Places before and after it, where few choices are left, belong to it if
    noise would make their sum with a probability below `CHANCE`. A small error of the interval matters far away:
    intervals a little longer and shorter, and phases half a frame earlier and later, are tried.
    """
    best, gain = course, 0.0
    middle = (course.first + course.last) / 2
    at = course.phase + course.pri * middle
    for late, off in product(PHASE_OFF, PRI_OFF):
        pri = course.pri + off
        phase = at + late - pri * middle
        (first, before), (last, after) = (
            _further(cells, phase, pri, edge) for edge in ((course.first, -1), (course.last, 1))
        )
        if before + after > gain:
            best, gain = Course(phase, pri, first, last), before + after
    return best


def goes_beyond(cells: Cells, course: Course, most: int) -> bool:
    """Whether cells are occupied at a train's steps beyond any burst of `most` intervals that contains the train.

    Where part of a train is too weak to be followed, more of those places are occupied than of the bin's other cells.
    """
    middle = (course.first + course.last) / 2
    at = course.phase + course.pri * middle
    first, last = ceil(-course.phase / course.pri), floor((len(cells) - 1 - course.phase) / course.pri)
    places = np.arange(first, last + 1)
    places = places[(places > course.first + most) | (places < course.last - most)]
    if len(places) < PLACES_LEAST:
        return False
    usual = float((cells[cells > 0] > LIT * SCALE).mean()) if cells.any() else 1.0
    for late, off in product(PHASE_OFF, PRI_OFF):
        frames = np.rint(at + late + (course.pri + off) * (places - middle)).astype(np.int64)
        seen = cells[np.clip(frames, 0, len(cells) - 1)]
        lit, known = int((seen > LIT * SCALE).sum()), int((seen > 0).sum())
        if binomial_sf(lit - 1, known, usual) < CHANCE / (len(PHASE_OFF) * len(PRI_OFF)):
            return True
    return False


def _further(cells: Cells, phase: float, pri: float, edge: tuple[int, int]) -> tuple[int, float]:
    """The last place beyond an edge, in one direction, that belongs to a train; and that part's gain over noise."""
    place, way = edge
    here = phase + pri * place
    room = here if way < 0 else len(cells) - 1 - here
    places = place + way * np.arange(1, max(0, int(room / pri)) + 1)
    at = np.clip(np.rint(phase + pri * places).astype(np.int64), 0, len(cells) - 1)
    values = np.minimum(CAP, (cells[at] + 0.5) / SCALE)
    run = np.cumsum(values - PENALTY)
    if len(run) == 0 or run.max() <= 0:
        return place, 0.0
    more = int(run.argmax()) + 1
    if gammaincc(more, float(values[:more].sum())) >= CHANCE:
        return place, 0.0
    return place + way * more, float(run.max())


def falters(cells: Cells, at: NDArray[np.int64], *, band: tuple[int, int], levels: Float32s, pulse: float) -> bool:
    """Whether a train is the clicks of a stronger steady signal in the band, whose power dips at the train's instants.

    A carrier that loses samples jumps in phase; what it spills over the band then looks like a train of short pulses.
    How deep its power falls at each of the instants is ranked among all instants; ranks that are all low are no chance
    (Fisher's method). A pulse's own edge, at most a quarter of its power, may cost the stronger signal twice the root
    of their ratio at most: less than that is not counted.

    Args: cells (frames, bins); at are the frames of the train's pulses, band its first and last bin; levels (bins,) are
        the backgrounds, pulse the power of a pulse in their unit.
    """
    others = levels.copy()
    others[max(0, band[0] - 2) : band[1] + 3] = 0
    steady = int(others.argmax())
    if not 0 < STRONGER * pulse <= others[steady]:
        return False
    said = cells.max(axis=1) > 0
    own = np.where(said, cells[:, steady], np.uint8(255))
    lowest = np.minimum(np.minimum(own[:-2], own[1:-1]), own[2:]).astype(np.float32)
    known = np.flatnonzero(said[:-2] & said[1:-1] & said[2:])
    seen = lowest[at[np.isin(at - 1, known)] - 1]
    usual = float(np.median(lowest[known])) if len(known) else 0.0
    if usual <= 0 or len(seen) < 3:
        return False
    deep = 1 - seen / usual > np.sqrt(pulse / float(others[steady]))
    ordered = np.sort(lowest[known])
    ranks = (np.searchsorted(ordered, seen, side="left") + np.searchsorted(ordered, seen, side="right") + 1) / 2
    rare = -np.log(np.where(deep, ranks / (len(ordered) + 1), 1.0))
    return bool(gammaincc(len(seen), rare.sum()) < CHANCE)


def repeats(cells: Cells, frames: Frames, pri: float) -> bool:
    """Whether the same interval fits other cells between the pulses too: then the true period is shorter."""
    starts = np.rint(frames - pri / 2).astype(np.int64)
    length = int(pri)
    starts = starts[(starts >= 0) & (starts + length < len(cells))]
    if len(starts) < 3:
        return False
    folded = np.mean([np.minimum(cells[at : at + length], CAP * SCALE) for at in starts], axis=0) / SCALE
    middle = length // 2
    own = float(folded[middle - 2 : middle + 3].max())
    folded[middle - 6 : middle + 7] = 0
    return float(folded.max()) - 1 > REPEAT_SHARE * (own - 1)


def pulses_are_long(cells: Cells, frames: Frames, pri: float) -> bool:
    """Whether the pulses of a train are longer than short ones: power goes on beside their places.

    Of a weak long pulse another frame stands out each time: only the sum over all places shows how long it is. That sum
    is compared with sums over as many frames elsewhere between the pulses, whatever those contain.
    """
    starts = np.rint(frames - pri / 2).astype(np.int64)
    length = int(pri)
    starts = starts[(starts >= 0) & (starts + length < len(cells))]
    if len(starts) < LONG_LEAST:
        return False
    folded = np.mean([np.minimum(cells[at : at + length], CAP * SCALE) for at in starts], axis=0) / SCALE
    middle = length // 2
    own = float(folded[middle - 1 : middle + 2].max())
    for wide in LONG_FRAMES:
        sums = np.convolve(folded, np.full(wide, 1 / wide), "valid")
        ends = middle - BESIDE_FRAMES - wide + 1, middle + BESIDE_FRAMES
        elsewhere = np.concatenate((sums[: ends[0] - FAR_FRAMES], sums[ends[1] + FAR_FRAMES :]))
        usual, spread = float(elsewhere.mean()), float(elsewhere.std())
        most = max(float(sums[end]) for end in ends) - usual
        if most > LONG_SURE * spread and most > LONG_SHARE * (own - usual):
            return True
    return False
