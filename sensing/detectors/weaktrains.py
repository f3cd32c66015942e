"""Detects trains of pulses too weak to detect singly: cells of one bin are summed at a steady interval.

Whitened powers of the last 60 ms are kept as bytes. Two cells that stand out a little, one or two intervals of P0N#1
apart, begin a train; it is followed both ways, its interval refined, and its cells summed. What noise does to
that sum is known exactly (a gamma distribution), so a train is only told of when noise would make it less than
once in the time asked for, over all intervals, places and beginnings that could have been tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.finecells import TRIED_NEPERS, SampleMemory, measured_finely
from sensing.detectors.pulsekernels import BLOCK
from sensing.detectors.trainchecks import CAP, Course, falters, goes_beyond, pulses_are_long, reach, repeats, surprise
from sensing.detectors.weakkernels import SCALE, SLOTS_MAX, SLOTS_MIN, bright_cells, count_values, search, whiten_cells
from sensing.frontend import Float32s, Iq
from sensing.specials import gammaln

MEMORY_US: Final = 60_000.0
SEED: Final = 5.5
"""Ratio to the background that a cell must reach to begin a train."""
FOUND_MAX: Final = 64
TRIED_PER_CELL: Final = 3000.0
"""Number of intervals of the class tried per cell: neighbours differ by less than half a frame over a burst."""
SIDE_SHARE: Final = 0.35
"""Mean of the cells just before and after a pulse, as a share of its own, beyond which it is no short pulse."""
DIM: Final = 1.8
LIT_SHARE: Final = 0.65
"""Least share of a train's places that must be occupied: other pulses match a wrong interval now and then."""
FINE_WITHIN: Final = 15.0
"""Nepers that a train may lack by its cells alone for its samples to be measured again."""
FINE_BEYOND: Final = 4.0
"""Nepers beyond those needed up to which more evidence is sought: a radar takes a little more to be believed."""
FINE_MAX: Final = 2
"""How many trains of a piece are measured in their samples, which takes longer than all else."""
FIELDS: Final = 6
SEED_LEVEL: Final = np.uint8(SEED * SCALE)
BRIGHT_ROOM: Final = 2
"""Initial room for bright cells, per frame; noise has fewer."""
ROOM: Final = 2
"""Room for cells, in lengths of what is kept: at twice that length, they are rarely moved."""
BINS_LEAST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakTrain:
    """A train detected by its sum: the times of its pulses (frames since the newest piece began), and its bins.

    `turns` are the intervals from its first to its last place, including those where no pulse is visible.
    `mean` is the mean cell over the background, `level_db` the median level in dB of squared full scale, `nepers` the
    log of how many seconds noise takes to make one like it.
    """

    frames: tuple[float, ...]
    turns: int
    low_bin: int
    high_bin: int
    peak_bin: int
    mean: float
    level_db: float
    nepers: float


class WeakTrains:
    """Keeps the whitened cells of the last contiguous samples and searches them for trains."""

    def __init__(self, *, bins: int, frame_us: float, pri_us: tuple[float, float], nepers: float, turns: int) -> None:
        """Args: pri_us is the range of intervals; nepers is the least a train must reach, turns the most of a burst."""
        self._bins, self._frame_us, self._nepers, self._turns = bins, frame_us, nepers, turns
        self._pri = (pri_us[0] / frame_us, pri_us[1] / frame_us)
        self._memory = int(MEMORY_US / frame_us)
        self._room = np.zeros((0, bins), np.uint8)
        self._from = 0
        self._cells = self._room
        self._bright = np.zeros((0, 2), np.int64)
        self._under: list[tuple[int, Float32s]] = []
        self._known: list[tuple[WeakTrain, Course]] = []
        self._counted: dict[int, NDArray[np.int64]] = {}
        self._samples, self._fine_left = SampleMemory(), FINE_MAX

    def reset(self) -> None:
        """Drop all cells: the next samples are not contiguous."""
        self._from, self._cells = 0, self._room[:0]
        self._bright = np.zeros((0, 2), np.int64)
        self._under, self._known = [], []
        self._samples.reset()

    def find(
        self, power: Float32s, under: Float32s, usable: NDArray[np.bool_], part: tuple[int, int], iq: Iq | None
    ) -> list[WeakTrain]:
        """Trains that end in the newest piece, the best of those that share a cell; frames count from its start.

        Args: power (frames, bins); `under` (blocks, bins) are the backgrounds of all of it, and of a block that is not
            `usable` (blocks,) nothing can be said. Only the frames of `part`, its first and the one after its last,
            are new. `iq` are its samples, None where they are not kept; the caller leaves that array as it is.
        """
        first, last = part
        drop = max(0, len(self._cells) + last - first - self._memory)
        fresh = len(self._cells) - drop
        newest = self._make_room(last - first, drop)
        whiten_cells(power, under, usable, np.float32(SCALE), first, newest)
        self._note_bright(newest, fresh, drop)
        self._counted.clear()
        self._under = [(at - drop, one) for at, one in self._under if at - drop + BLOCK * len(one) > 0]
        self._under.append((fresh - first, under))
        hop = self._bins // 2
        samples = iq[first * hop : last * hop] if iq is not None else np.empty((0, 2), np.int16)
        self._samples.append(samples, frame=fresh, drop=drop, hop=hop)
        self._fine_left = FINE_MAX
        if self._bins < BINS_LEAST or len(self._cells) < (SLOTS_MIN - 1) * self._pri[0]:
            return []
        rows = np.empty((FOUND_MAX, FIELDS))
        found = search(self._cells, self._bright, fresh, self._pri[0], self._pri[1], np.float64(CAP * SCALE), rows)
        told = [one for row in rows[:found] if (one := self._told(row, fresh)) is not None]
        kept = _apart([train for train, _ in told])
        courses = [(train, course) for train, course in told if any(train is one for one in kept)]
        before = [one for one in self._before(drop, fresh) if not any(_same(one[0], k) for k in kept)]
        self._known = (courses + [(train, course) for train, course, _ in before])[:FOUND_MAX]
        return kept + [train for train, _, goes_on in before if goes_on]

    def _before(self, drop: int, fresh: int) -> Iterator[tuple[WeakTrain, Course, bool]]:
        """Trains found before, and whether they go on, even too weakly to be found anew."""
        for train, course in self._known:
            here = replace(course, phase=course.phase - drop)
            first = max(here.first, int(np.ceil((8 - here.phase) / here.pri)))
            if first >= here.last:
                continue
            longer = reach(self._cells[:, train.peak_bin], replace(here, first=first))
            whole = replace(longer, first=min(here.first, longer.first))
            turns = self._lasted(train.peak_bin, whole)
            goes_on = longer.last > here.last or turns > self._turns
            frames = self._heard(train.peak_bin, longer, fresh)
            yield replace(train, frames=frames, turns=turns), (whole if goes_on else here), goes_on

    def _heard(self, bin_: int, course: Course, fresh: int) -> tuple[float, ...]:
        """The occupied places of a train, in frames since the newest piece began."""
        frames = course.frames()
        at = np.clip(np.rint(frames).astype(np.int64), 0, len(self._cells) - 1)
        return tuple(float(f) - fresh for f in frames[self._cells[at, bin_] > 2 * SCALE])

    def _lasted(self, bin_: int, course: Course) -> int:
        """Intervals from the first to the last place of a train; more than in a burst where it goes on unseen."""
        beyond = goes_beyond(self._cells[:, bin_], course, self._turns)
        return max(course.turns, self._turns + 1) if beyond else course.turns

    def _make_room(self, count: int, drop: int) -> NDArray[np.uint8]:
        """Drop the `drop` oldest cells; returns the room behind the others, (count, bins), for the newest ones."""
        kept = len(self._cells) - drop
        if self._from + drop + kept + count <= len(self._room):
            self._from += drop
        else:
            # Reuses the same memory: writing to new memory would cost as much time as the search.
            room, most = self._room, max(self._memory, kept + count) * ROOM
            if len(room) < most:
                room = np.empty((most, self._bins), np.uint8)
            room.reshape(-1)[: kept * self._bins] = self._cells[drop:].reshape(-1)  # rows of bytes are moved in place
            self._room, self._from = room, 0
        end = self._from + kept + count
        self._cells = self._room[self._from : end]
        return self._room[end - count : end]

    def _note_bright(self, newest: NDArray[np.uint8], fresh: int, drop: int) -> None:
        """Note the bright ones of the newest cells, and forget those of the `drop` cells that were dropped."""
        old = self._bright[np.searchsorted(self._bright[:, 0], drop) :]
        old[:, 0] -= drop
        found = np.empty((len(newest) * BRIGHT_ROOM, 2), np.int64)
        count = bright_cells(newest, SEED_LEVEL, fresh, found)
        if count > len(found):
            found = np.empty((count, 2), np.int64)
            bright_cells(newest, SEED_LEVEL, fresh, found)
        self._bright = np.concatenate((old, found[:count]))

    def _told(self, row: NDArray[np.float64], fresh: int) -> tuple[WeakTrain, Course] | None:
        """The train of a search row (bin, phase, interval, first and last slot, sum), if it is one of short pulses."""
        bin_, (phase, pri, first, last, total) = int(row[0]), row[1:]
        course = Course(phase=float(phase), pri=float(pri), first=int(first), last=int(last))
        frames = course.frames()
        nepers = self._believed(bin_, course, total / SCALE)
        if nepers < self._nepers:
            return None
        at = np.rint(frames).astype(np.int64)
        at = at[(at >= 8) & (at < len(self._cells) - 8)]
        stack = np.minimum(self._cells[at], CAP * SCALE).mean(axis=0) / SCALE
        beside = np.mean([self._cells[at + d, bin_].mean() for d in (-6, -5, -4, 4, 5, 6)]) / SCALE
        mean = float(stack[bin_])
        if beside - 1 > SIDE_SHARE * (mean - 1) or repeats(self._cells[:, bin_], frames, pri):
            return None
        if pulses_are_long(self._cells[:, bin_], frames, pri):
            return None
        lit = stack > 1 + (mean - 1) / 4
        low = high = bin_
        while low > 0 and lit[low - 1]:
            low -= 1
        while high < self._bins - 1 and lit[high + 1]:
            high += 1
        levels = self._levels(int(at[len(at) // 2]))
        if falters(self._cells, at, band=(low, high), levels=levels, pulse=(mean - 1) * float(levels[bin_])):
            return None
        slots = self._cells[at, bin_]
        known = slots > 0
        if np.count_nonzero(slots[known] > DIM * SCALE) < LIT_SHARE * np.count_nonzero(known):
            return None
        cells = self._cells[at, bin_].astype(np.float64) / SCALE
        bright = (cells > 2.0) & (cells < CAP)
        bright = bright if bright.any() else cells > 2.0
        levels = 10 * np.log10((cells[bright] - 1) * np.array([self._background(int(f), bin_) for f in at[bright]]))
        whole = reach(self._cells[:, bin_], course)
        train = WeakTrain(
            frames=self._heard(bin_, whole, fresh), turns=self._lasted(bin_, whole), low_bin=low, high_bin=high,
            peak_bin=bin_, mean=mean, level_db=float(np.median(levels)) if len(levels) else -99.0, nepers=nepers,
        )  # fmt: skip
        return train, whole

    def _believed(self, bin_: int, course: Course, total: float) -> float:
        """The log of the seconds in which noise makes a train like one whose cells sum to `total` backgrounds."""
        cells, frames = self._cells[:, bin_], course.frames()
        # The sum bounds the rarity of the cells: where it does not suffice, the cells need not be counted.
        nepers = self._sum_nepers(total, len(frames))
        if nepers >= self._nepers:
            nepers = self._sum_nepers(min(total, surprise(cells, frames, self._values(bin_))), len(frames))
        if self._nepers - FINE_WITHIN < nepers < self._nepers + FINE_BEYOND and self._fine_left > 0:
            self._fine_left -= 1
            fine = measured_finely(self._samples, course, self._backgrounds(bin_), bin_=bin_, bins=self._bins)
            if fine is not None:
                nepers = max(nepers, self._sum_nepers(*fine) - TRIED_NEPERS)
        return nepers

    def _backgrounds(self, bin_: int) -> Float32s:
        """The background of a bin at each frame in memory, shape (frames,); 0 where there is none."""
        every = np.zeros(len(self._cells), np.float32)
        for at, under in self._under:
            some = np.repeat(under[:, bin_], BLOCK)
            first, last = max(0, at), min(len(every), at + len(some))
            if first < last:
                every[first:last] = some[first - at : last - at]
        return np.where(np.isfinite(every), every, np.float32(0))

    def _sum_nepers(self, total: float, places: int) -> float:
        """The log of the seconds in which noise makes one train whose cells sum to `total` backgrounds."""
        if total <= places:
            return 0.0
        tried = np.log(TRIED_PER_CELL * SLOTS_MAX * 2e6 * self._bins / 2)
        return float(total - (places - 1) * np.log(total) + gammaln(places) - tried)

    def _values(self, bin_: int) -> NDArray[np.int64]:
        """How many of a bin's cells in memory have each value, counted once for each piece."""
        if bin_ not in self._counted:
            counts = np.empty(256, np.int64)
            count_values(self._cells, bin_, counts)
            self._counted[bin_] = counts
        return self._counted[bin_]

    def _levels(self, frame: int) -> Float32s:
        """The backgrounds of all bins at a frame in memory, shape (bins,); zeros where there are none."""
        for at, under in reversed(self._under):
            if at <= frame < at + BLOCK * len(under):
                row = under[(frame - at) // BLOCK]
                return np.where(np.isfinite(row), row, np.float32(0))
        return np.zeros(self._bins, np.float32)

    def _background(self, frame: int, bin_: int) -> float:
        """The background of one cell in memory."""
        for at, under in reversed(self._under):
            if at <= frame < at + BLOCK * len(under):
                value = float(under[(frame - at) // BLOCK, bin_])
                if np.isfinite(value):
                    return value
        return 1e-30


def warm() -> int:
    """Run the search once on no cells, for whose loop a short look has no use; returns how many trains there are."""
    cells, bright = np.zeros((1, BINS_LEAST), np.uint8), np.zeros((0, 2), np.int64)
    return int(search(cells, bright, 0, 900.0, 1100.0, np.float64(CAP * SCALE), np.empty((FOUND_MAX, FIELDS))))


def _apart(trains: list[WeakTrain]) -> list[WeakTrain]:
    kept: list[WeakTrain] = []
    for one in sorted(trains, key=lambda train: -train.nepers):
        if not any(_same(one, k) for k in kept):
            kept.append(one)
    return kept


def _same(one: WeakTrain, kept: WeakTrain) -> bool:
    """Whether two detections share bins and an instant of one train."""
    near = kept.low_bin - 2 <= one.peak_bin <= kept.high_bin + 2
    if not near or not one.frames or not kept.frames or abs(kept.frames[-1] - one.frames[-1]) >= 2e3:
        return False
    return any(abs(x - y) < 3 for x in kept.frames for y in one.frames)
