"""Joins pieces of looks that are too short to estimate a floor, until there are enough blocks.

A receiver of 250 kS/s gives eight blocks in a look of 2.25 ms: the lowest of eight is no floor, and a floor taken from
one such look would hold for ever.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.tracker import TAUGHT_BLOCKS, UNCERTAIN, Piece

Floats = NDArray[np.float64]

TOGETHER_BLOCKS: Final = 3 * TAUGHT_BLOCKS
"""Blocks of short looks that are compared with the floor, or that it is learned from, as one piece."""


class ShortLooks:
    """Collects short pieces; once there are enough, one piece stands for all."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._powers: list[Floats] = []

    def forget(self) -> None:
        """Drop the pieces collected: the gain has changed."""
        self._pieces.clear()
        self._powers.clear()

    def add(self, piece: Piece, power: Floats) -> tuple[Piece, Floats] | None:
        """Add a piece whose blocks have these powers, shape (blocks, groups).

        Returns the piece that stands for all that were collected, with their powers, once there are enough.
        """
        self._pieces.append(piece)
        self._powers.append(power)
        if sum(map(len, self._powers)) < TOGETHER_BLOCKS:
            return None
        leader = Piece(
            start_ns=self._pieces[0].start_ns,
            levels=piece.levels[:0],
            clipped=piece.clipped[:0],
            state=UNCERTAIN,
            bound=any(one.bound for one in self._pieces),
        )
        for one in self._pieces:
            one.leader = leader
        together = np.concatenate(self._powers)
        self.forget()
        return leader, together
