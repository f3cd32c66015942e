"""A survey's history of blocks: full levels while there is room, then only their decisions."""

from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.decisions import BlockDecisions
from sensing.tracker import Piece

FULL_BYTES: Final = 48 << 20
"""Memory in bytes for blocks with full levels, which a floor found later can still decide on."""
BRIEF_BLOCKS: Final = 1 << 22
SHELF_BLOCKS: Final = 4096


class LevelShelf:
    """Allocates the levels of pieces side by side in large arrays; an array is freed with its last piece.

    Thousands of small arrays that live for minutes would lie scattered between those that come and go with each look,
    and none of that memory could be given back.
    """

    def __init__(self) -> None:
        self._array: NDArray[np.int16] = np.empty((0, 0), np.int16)
        self._used = 0

    def put(self, levels: NDArray[np.int16]) -> NDArray[np.int16]:
        """Copy the levels, shape (blocks, groups), to their place."""
        blocks, groups = levels.shape
        if self._array.shape[1] != groups or self._used + blocks > len(self._array):
            self._array, self._used = np.empty((max(SHELF_BLOCKS, blocks), groups), np.int16), 0
        place = self._array[self._used : self._used + blocks]
        self._used += blocks
        place[:] = levels
        return place


class FloorHistory:
    """The pieces in time order; the oldest lose their levels, then are dropped."""

    def __init__(self, *, keep_ns: int | None = None, again_ns: int | None = None) -> None:
        """Start without pieces.

        Args: keep_ns: forget what began longer ago than this; None: keep as much as there is room for. again_ns: how
        long pieces are kept in full; None: as long as there is room.
        """
        self._keep_ns, self._again_ns = keep_ns, again_ns
        self._full: deque[Piece] = deque()
        self._brief: deque[BlockDecisions | Piece] = deque()
        self._full_bytes = 0
        self._brief_blocks = 0
        self._silent: deque[tuple[int, int]] = deque()
        self._silent_blocks = 0
        self.forgotten = False

    def add(self, piece: Piece) -> None:
        """Add a piece."""
        self._full.append(piece)
        self._full_bytes += piece.levels.nbytes
        if self._keep_ns is not None:
            self._forget(piece.start_ns - self._keep_ns)

    def leave_out(self, start_ns: int, blocks: int) -> None:
        """Note that `blocks` blocks from `start_ns` on held no information."""
        self._silent_blocks += blocks
        if self._keep_ns is not None and blocks:
            self._silent.append((start_ns, blocks))
            while self._silent[0][0] < start_ns - self._keep_ns:
                self._silent_blocks -= self._silent.popleft()[1]

    @property
    def left_out(self) -> int:
        """Number of blocks without information: zeros, constant values, or NaN."""
        return self._silent_blocks

    @property
    def full(self) -> deque[Piece]:
        """The pieces with levels, which can still be decided on anew."""
        return self._full

    @property
    def overfull(self) -> bool:
        """Whether the oldest pieces have to be decided on for good."""
        return self._beyond(1)

    def _beyond(self, share: float) -> bool:
        """Whether the memory or the time span of full pieces exceeds that share of its limit."""
        if not self._full:
            return False
        span_ns = self._full[-1].start_ns - self._full[0].start_ns
        return self._full_bytes > share * FULL_BYTES or (
            self._again_ns is not None and span_ns > share * self._again_ns
        )

    def settle(self) -> None:
        """Drop the levels of the oldest eighth and keep their decisions; without a decision a piece stays uncertain."""
        while self._beyond(7 / 8):
            piece = self._full.popleft()
            self._full_bytes -= piece.levels.nbytes
            judged = piece.decided if isinstance(piece.decided, BlockDecisions) else None
            self._brief.append(judged if judged is not None else piece)
            self._brief_blocks += len(piece.levels)
            if judged is None:
                piece.levels = piece.levels[:, :1].copy()
        while self._brief_blocks > BRIEF_BLOCKS:
            self._forget_oldest()

    def judged(self) -> Iterator[BlockDecisions]:
        """Every decision kept, in time order."""
        for old in self._brief:
            if isinstance(old, BlockDecisions):
                yield old
        for piece in self._full:
            if isinstance(piece.decided, BlockDecisions):
                yield piece.decided

    @property
    def uncertain(self) -> int:
        """Number of blocks whose level fits no floor."""
        old = sum(len(one.levels) for one in self._brief if isinstance(one, Piece))
        return old + sum(len(piece.levels) for piece in self._full if not isinstance(piece.decided, BlockDecisions))

    def _forget(self, before_ns: int) -> None:
        while self._brief and self._brief[0].start_ns < before_ns:
            self._forget_oldest()
        while self._full and self._full[0].start_ns < before_ns:
            self._full_bytes -= self._full.popleft().levels.nbytes
            self.forgotten = True

    def _forget_oldest(self) -> None:
        gone = self._brief.popleft()
        self._brief_blocks -= gone.blocks if isinstance(gone, BlockDecisions) else len(gone.levels)
        self.forgotten = True
