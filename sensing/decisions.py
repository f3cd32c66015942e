"""Stores the busy decisions on the blocks of many pieces of looks in large arrays, for reading by channel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.occupancy import SampleGaps

TOGETHER_BLOCKS: Final = 4096

Bools = NDArray[np.bool_]
Float16s = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class DecidedBlocks:
    """Decisions on consecutive blocks, one piece after the other.

    `over_db`, `whole_db` and `lasting` have the shape (channels, blocks): the largest of all test statistics in dB over
    its threshold, the energy of the whole channel in dB over its threshold, and whether the block belongs to a longer
    stretch over its threshold. `bound` and `clipped` have the shape (blocks,): whether the block is a signal's whatever
    the floor, and whether the converter was overdriven in it. `risen`, shape (channels, pieces), says whether the power
    of a part of the channel was higher over the whole piece by more than chance.
    """

    over_db: Float16s
    whole_db: Float16s
    lasting: Bools
    bound: Bools
    clipped: Bools
    risen: Bools

    @classmethod
    def empty(cls, channels: int, blocks: int) -> "DecidedBlocks":
        """Uninitialized arrays for `channels` channels, `blocks` blocks, and as many pieces as blocks."""
        return cls(
            over_db=np.empty((channels, blocks), np.float16), whole_db=np.empty((channels, blocks), np.float16),
            lasting=np.empty((channels, blocks), np.bool_), bound=np.empty(blocks, np.bool_),
            clipped=np.empty(blocks, np.bool_), risen=np.empty((channels, blocks), np.bool_),
        )  # fmt: skip

    def put(self, other: "DecidedBlocks", block: int, piece: int) -> None:
        """Copy all blocks and pieces of `other` here, the first of them to indices `block` and `piece`."""
        blocks = slice(block, block + len(other.bound))
        self.over_db[:, blocks] = other.over_db
        self.whole_db[:, blocks] = other.whole_db
        self.lasting[:, blocks] = other.lasting
        self.bound[blocks] = other.bound
        self.clipped[blocks] = other.clipped
        self.risen[:, piece : piece + other.risen.shape[1]] = other.risen


@dataclass(frozen=True, slots=True)
class BlockDecisions:
    """The decisions on one piece: blocks `first` to `last` (excluded) and piece `piece` of the arrays `these`.

    `key` is number and version of the floor they were made with, `start_ns` the piece's begin.
    """

    key: tuple[int, int]
    start_ns: int
    these: DecidedBlocks
    first: int
    last: int
    piece: int

    @property
    def blocks(self) -> int:
        """Number of blocks in the piece."""
        return self.last - self.first

    @property
    def over_db(self) -> Float16s:
        """The largest test statistic in dB over its threshold, shape (channels, blocks)."""
        return self.these.over_db[:, self.first : self.last]

    @property
    def lasting(self) -> Bools:
        """Blocks in a longer stretch that is over its threshold, shape (channels, blocks)."""
        return self.these.lasting[:, self.first : self.last]

    @property
    def bound(self) -> Bools:
        """Blocks that are a signal's whatever the floor, shape (blocks,)."""
        return self.these.bound[self.first : self.last]


class DecisionShelf:
    """Allocates decisions side by side in large arrays; an array is freed with the last decision in it."""

    def __init__(self) -> None:
        self._array = DecidedBlocks.empty(0, 0)
        self._blocks = self._pieces = 0

    def put(
        self, decided: DecidedBlocks, firsts: Sequence[int], *, key: tuple[int, int], starts_ns: Sequence[int]
    ) -> list[BlockDecisions]:
        """Store the decisions on some pieces; returns one `BlockDecisions` for each.

        Args: firsts (pieces + 1,): the first block of each piece, then the number of blocks; starts_ns (pieces,): when
            each piece begins; key: number and version of the floor.
        """
        channels, blocks = decided.over_db.shape
        if len(self._array.over_db) != channels or self._blocks + blocks > len(self._array.bound):
            self._array = DecidedBlocks.empty(channels, max(TOGETHER_BLOCKS, blocks))
            self._blocks = self._pieces = 0
        these, block, piece = self._array, self._blocks, self._pieces
        these.put(decided, block, piece)
        self._blocks, self._pieces = block + blocks, piece + len(starts_ns)
        return [
            BlockDecisions(key, start_ns, these, block + firsts[n], block + firsts[n + 1], piece + n)
            for n, start_ns in enumerate(starts_ns)
        ]


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
    """The decisions on many pieces joined into one; what all channels share is computed once."""

    def __init__(self, pieces: list[BlockDecisions], *, step_s: float, sound: dict[int, bool], uncertain: int) -> None:
        """Args: step_s: seconds from one block of a piece to the next. sound: by floor number, whether it is anchored.

        uncertain: how many further blocks there are, whose level fits no floor.
        """
        self.pieces, self.uncertain = pieces, uncertain
        self._spacings: dict[bytes, SampleGaps | None] = {}
        self._lengths = np.array([one.last - one.first for one in pieces], np.intp)
        self.starts_ns = np.array([one.start_ns for one in pieces], np.int64)
        self.states = np.array([one.key[0] for one in pieces], np.intp)
        self.blocks = int(self._lengths.sum())
        if not pieces:
            return
        first = np.cumsum(self._lengths) - self._lengths
        within = np.arange(self.blocks) - np.repeat(first, self._lengths)
        self._times_s = np.repeat(self.starts_ns / 1e9, self._lengths) + within * step_s
        self._anchored = np.repeat(np.array([sound[one.key[0]] for one in pieces], np.bool_), self._lengths)
        runs = list(_together(pieces))
        self._over_db = np.concatenate([these.over_db[:, some] for these, some, _ in runs], axis=1)
        self._whole_db = np.concatenate([these.whole_db[:, some] for these, some, _ in runs], axis=1)
        self._lasting = np.concatenate([these.lasting[:, some] | these.bound[some] for these, some, _ in runs], axis=1)
        self._clipped = np.concatenate([these.clipped[some] for these, some, _ in runs])
        self._risen = np.concatenate([these.risen[:, some] for these, _, some in runs], axis=1)

    def outside(self, spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
        """Which pieces, shape (pieces,), began in none of these time spans (ns, end not included)."""
        kept = np.ones(len(self.pieces), np.bool_)
        for start, end in spans:
            kept &= (self.starts_ns < start) | (self.starts_ns >= end)
        return kept

    def at_settings(self, numbers: set[int], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which blocks of these pieces were decided by one of the floors `numbers`."""
        of_piece = np.isin(self.states, list(numbers))
        return np.repeat(of_piece[kept], self._lengths[kept])

    def spacing(self, kept: NDArray[np.bool_]) -> SampleGaps | None:
        """Time gaps between the blocks of the pieces kept, the same for every channel; None with too few blocks."""
        name = kept.tobytes()
        if name not in self._spacings:
            times_s = self._times_s[np.repeat(kept, self._lengths)] if kept.any() else np.zeros(0)
            self._spacings[name] = SampleGaps(times_s) if len(times_s) > 2 else None
        return self._spacings[name]

    def channel(self, index: int, kept: NDArray[np.bool_]) -> ChannelBlocks:
        """The decisions on one channel in the pieces kept."""
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


def _together(pieces: Sequence[BlockDecisions]) -> Iterator[tuple[DecidedBlocks, slice, slice]]:
    """Blocks and pieces that are contiguous in one array, as slices as long as possible."""
    begin = 0
    for n in range(1, len(pieces) + 1):
        left = pieces[n - 1]
        right = pieces[n] if n < len(pieces) else None
        if right is None or right.these is not left.these or right.first != left.last or right.piece != left.piece + 1:
            yield left.these, slice(pieces[begin].first, left.last), slice(pieces[begin].piece, left.piece + 1)
            begin = n
