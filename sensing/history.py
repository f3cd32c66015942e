"""What a survey remembers of its blocks: in full while there is room, then only how far each was over its threshold."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.tracker import Piece

FULL_BYTES: Final = 48 << 20
"""Room for blocks kept in full, so that a floor found later judges them too."""
BRIEF_BLOCKS: Final = 1 << 22
SHELF_BLOCKS: Final = 4096

Float16s = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class BlockDecisions:
    """Decisions on the blocks of a piece, each of shape (channels, blocks): dB over the thresholds, and what lasts.

    `over_db` is the largest of all tests, `whole_db` the energy of the whole channel; `key` says by which floor.
    `bound` and `clipped`, shape (blocks,), are somebody's whatever the floor, and overdriven; `risen`, shape
    (channels,), whether a part of the channel rose over the whole piece by more than chance.
    """

    key: tuple[int, int]
    start_ns: int
    over_db: Float16s
    whole_db: Float16s
    lasting: NDArray[np.bool_]
    bound: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
    risen: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ChannelBlocks:
    """The blocks of one channel in the order of time, each of shape (blocks,); see `sensing.verdict.BlocksSeen`."""

    over_db: NDArray[np.float64]
    whole_db: NDArray[np.float64]
    lasting: NDArray[np.bool_]
    anchored: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
    risen: NDArray[np.bool_]
    times_s: NDArray[np.float64]


class JudgedBlocks:
    """The decisions on many pieces as one: what is asked of every channel is put together once for all of them."""

    def __init__(self, pieces: list[BlockDecisions], *, step_s: float, sound: dict[int, bool], uncertain: int) -> None:
        """Args: step_s: from block to block in a piece. sound: for each floor, by its number, whether it is anchored.

        uncertain: blocks beside these whose level fits no floor.
        """
        self.pieces, self.uncertain = pieces, uncertain
        self._lengths = np.array([one.over_db.shape[1] for one in pieces], np.intp)
        self.starts_ns = np.array([one.start_ns for one in pieces], np.int64)
        self.states = np.array([one.key[0] for one in pieces], np.intp)
        self.blocks = int(self._lengths.sum())
        if not pieces:
            return
        first = np.cumsum(self._lengths) - self._lengths
        within = np.arange(self.blocks) - np.repeat(first, self._lengths)
        self._times_s = np.repeat(self.starts_ns / 1e9, self._lengths) + within * step_s
        self._anchored = np.repeat(np.array([sound[one.key[0]] for one in pieces], np.bool_), self._lengths)
        self._over_db = np.concatenate([one.over_db for one in pieces], axis=1)
        self._whole_db = np.concatenate([one.whole_db for one in pieces], axis=1)
        self._lasting = np.concatenate([one.lasting | one.bound for one in pieces], axis=1)
        self._clipped = np.concatenate([one.clipped for one in pieces])
        self._risen = np.stack([one.risen for one in pieces], axis=1)

    def outside(self, spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
        """Which pieces, shape (pieces,), began in none of these spans of time (ns, the end not included)."""
        kept = np.ones(len(self.pieces), np.bool_)
        for start, end in spans:
            kept &= (self.starts_ns < start) | (self.starts_ns >= end)
        return kept

    def at_settings(self, numbers: set[int], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which blocks of these pieces belong to one of these floors."""
        of_piece = np.isin(self.states, list(numbers))
        return np.repeat(of_piece[kept], self._lengths[kept])

    def channel(self, index: int, kept: NDArray[np.bool_]) -> ChannelBlocks:
        """What was decided of one channel in some of the pieces."""
        if not kept.any():
            nothing, none = np.zeros(0), np.zeros(0, np.bool_)
            return ChannelBlocks(nothing, nothing, none, none, none, none, nothing)
        all_of = slice(None) if kept.all() else np.flatnonzero(np.repeat(kept, self._lengths))
        return ChannelBlocks(
            over_db=self._over_db[index, all_of].astype(np.float64),
            whole_db=self._whole_db[index, all_of].astype(np.float64),
            lasting=self._lasting[index, all_of],
            anchored=self._anchored[all_of],
            clipped=self._clipped[all_of],
            risen=np.repeat(self._risen[index, kept], self._lengths[kept]),
            times_s=self._times_s[all_of],
        )


class LevelShelf:
    """Places for the levels of pieces, one behind the other in large arrays; an array goes with its last piece.

    Thousands of small arrays that live for minutes would lie scattered between those that come and go with each look,
    and none of that memory could be given back.
    """

    def __init__(self) -> None:
        self._array: NDArray[np.int16] = np.empty((0, 0), np.int16)
        self._used = 0

    def put(self, levels: NDArray[np.int16]) -> NDArray[np.int16]:
        """The same levels, shape (blocks, groups), in their place."""
        blocks, groups = levels.shape
        if self._array.shape[1] != groups or self._used + blocks > len(self._array):
            self._array, self._used = np.empty((max(SHELF_BLOCKS, blocks), groups), np.int16), 0
        place = self._array[self._used : self._used + blocks]
        self._used += blocks
        place[:] = levels
        return place


class FloorHistory:
    """Pieces in the order of time; the oldest lose their levels, then are forgotten."""

    def __init__(self, *, keep_ns: int | None = None) -> None:
        """Args: keep_ns: forget what began longer ago than this; None: keep as much as there is room for."""
        self._keep_ns = keep_ns
        self._full: deque[Piece] = deque()
        self._brief: deque[BlockDecisions | Piece] = deque()
        self._full_bytes = 0
        self._brief_blocks = 0
        self._silent: deque[tuple[int, int]] = deque()
        self._silent_blocks = 0
        self.forgotten = False

    def add(self, piece: Piece) -> None:
        """Remember a piece."""
        self._full.append(piece)
        self._full_bytes += piece.levels.nbytes
        if self._keep_ns is not None:
            self._forget(piece.start_ns - self._keep_ns)

    def leave_out(self, start_ns: int, blocks: int) -> None:
        """Remember that so many blocks from then on said nothing."""
        self._silent_blocks += blocks
        if self._keep_ns is not None and blocks:
            self._silent.append((start_ns, blocks))
            while self._silent[0][0] < start_ns - self._keep_ns:
                self._silent_blocks -= self._silent.popleft()[1]

    @property
    def left_out(self) -> int:
        """Blocks that said nothing: zeros, one value over and over, what is no number."""
        return self._silent_blocks

    @property
    def full(self) -> deque[Piece]:
        """Pieces that can still be judged anew."""
        return self._full

    @property
    def overfull(self) -> bool:
        """Whether the oldest pieces are to be judged for good."""
        return self._full_bytes > FULL_BYTES

    def settle(self) -> None:
        """Keep the decisions of the oldest eighth and let their levels go; they must have been judged."""
        while self._full and self._full_bytes > FULL_BYTES * 7 // 8:
            piece = self._full.popleft()
            self._full_bytes -= piece.levels.nbytes
            judged = piece.decided if isinstance(piece.decided, BlockDecisions) else None
            self._brief.append(judged if judged is not None else piece)
            self._brief_blocks += len(piece.levels)
            if judged is None:
                piece.levels = piece.levels[:, :1].copy()
        while self._brief_blocks > BRIEF_BLOCKS:
            gone = self._brief.popleft()
            self._brief_blocks -= gone.over_db.shape[1] if isinstance(gone, BlockDecisions) else len(gone.levels)
            self.forgotten = True

    def judged(self) -> Iterator[BlockDecisions]:
        """Every decision that is remembered, in the order of time."""
        for old in self._brief:
            if isinstance(old, BlockDecisions):
                yield old
        for piece in self._full:
            if isinstance(piece.decided, BlockDecisions):
                yield piece.decided

    @property
    def uncertain(self) -> int:
        """Blocks whose level fits no floor."""
        old = sum(len(one.levels) for one in self._brief if isinstance(one, Piece))
        return old + sum(len(piece.levels) for piece in self._full if not isinstance(piece.decided, BlockDecisions))

    def _forget(self, before_ns: int) -> None:
        while self._full and self._full[0].start_ns < before_ns:
            self._full_bytes -= self._full.popleft().levels.nbytes
            self.forgotten = True
