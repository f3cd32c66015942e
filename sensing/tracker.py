"""The idle level of each group of bins, followed over looks.

In one look the idle level of a group is what its quiet blocks share. Over the recent looks it is the lowest of these
that lasted, so a burst that fills a look does not become the floor, and a step up is believed once the memory has
passed. A group that never falls back to the level of the others is taken as occupied all the time and gets theirs,
unless it was seen to switch: what a bursty signal falls back to is the floor of its group.
"""

from collections import deque
from math import sqrt
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainccinv

from sensing.layout import BandLayout
from sensing.theory import truncated_mean

MEMORY_LOOKS: Final = 64
START_SHARE: Final = 0.1
CUT_PFA: Final = 1e-3
STEPS_MAX: Final = 40
LOOK_DEVIATIONS: Final = 6.0
"""Looks this many standard errors above the lowest are still of the same level; fewer would bias it downwards."""
SWITCHED: Final = 2.0
SWITCHED_SHARE: Final = (0.05, 0.95)
SWITCHED_DB_MAX: Final = 10.0


class FloorTracker:
    """Learns look by look; `levels` has shape (groups,), in the unit of the blocks' powers."""

    def __init__(self, layout: BandLayout, *, frames: int, flatness_db: float) -> None:
        """Args: frames averaged in a block; flatness_db is how far idle levels may differ across the band."""
        self._layout = layout
        self._shapes = layout.shapes * frames
        self._shape = float(np.median(self._shapes))
        self._flatness_db = flatness_db
        self._cuts = np.array([gammainccinv(k, CUT_PFA) / k for k in self._shapes])
        self._bias = np.array(
            [truncated_mean(shape=float(k), threshold=float(c)) for k, c in zip(self._shapes, self._cuts, strict=True)]
        )
        self._looks: deque[NDArray[np.float64]] = deque(maxlen=MEMORY_LOOKS)
        self._switched: deque[NDArray[np.bool_]] = deque(maxlen=MEMORY_LOOKS)
        self._cells: deque[float] = deque(maxlen=MEMORY_LOOKS)
        self.levels: NDArray[np.float64] = np.full(layout.groups, np.nan)

    def reset(self) -> None:
        """Forget everything, as after a change of gain."""
        self._looks.clear()
        self._switched.clear()
        self._cells.clear()
        self.levels = np.full(self._layout.groups, np.nan)

    def learn(self, blocks: NDArray[np.float64]) -> None:
        """Take the blocks of one look, shape (blocks, groups)."""
        level, idle = self._in_one_look(blocks)
        share = (blocks > SWITCHED * level).mean(axis=0)
        self._looks.append(level)
        self._switched.append((share > SWITCHED_SHARE[0]) & (share < SWITCHED_SHARE[1]))
        self._cells.append(median(idle.tolist()))
        self.levels = self._combine()

    @property
    def mean(self) -> float:
        """Mean idle level over the trusted groups."""
        return float(self.levels[self._layout.trusted].mean())

    @property
    def statistical_sd(self) -> float:
        """Relative standard error of one group's level, counted over what was idle in the recent looks."""
        return 1 / sqrt(max(sum(self._cells) * self._shape, 1.0))

    def _look_sd(self) -> NDArray[np.float64]:
        """Relative standard error of each group's level in one look."""
        return np.asarray(1 / np.sqrt(self._shapes * max(1.0, median(self._cells))), np.float64)

    def _in_one_look(self, blocks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Forward consecutive mean excision of each column at once: idle levels and how many blocks were idle."""
        ordered = np.sort(blocks, axis=0)
        sums = np.cumsum(ordered, axis=0)
        columns = np.arange(blocks.shape[1])
        count = np.full(blocks.shape[1], max(1, int(START_SHARE * len(blocks))))
        level = sums[count - 1, columns] / count
        for _ in range(STEPS_MAX):
            grown = np.maximum(count, np.count_nonzero(ordered <= self._cuts * level, axis=0))
            level = sums[grown - 1, columns] / grown / self._bias
            if np.array_equal(grown, count):
                break
            count = grown
        return level, count

    def _combine(self) -> NDArray[np.float64]:
        recent = np.array(self._looks)
        lowest = recent.min(axis=0)
        like = recent <= lowest * np.maximum(10 ** (self._flatness_db / 20), 1 + LOOK_DEVIATIONS * self._look_sd())
        own = np.where(like, recent, 0).sum(axis=0) / like.sum(axis=0)
        near = 10 ** (max(self._flatness_db, 0.5) / 10)
        inside = own[self._layout.trusted]
        low = float(np.sort(inside)[len(inside) // 5])
        typical = float(inside[inside <= low * near].mean())
        fell_back = np.array(self._switched).any(axis=0) | (recent.max(axis=0) > SWITCHED * lowest)
        believed = (own <= typical * near) | (fell_back & (own <= typical * 10 ** (SWITCHED_DB_MAX / 10)))
        return np.where(believed, own, typical)
