"""All channels of a band decided at once, over one floor: what `ChannelDetector` says of each, in two compiled loops.

A look has few blocks and a node many channels: channel by channel the calls take longer than the arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.channel import BURST, STRETCHES, Bools, ChannelCells, ChannelDetector, Floats, stretch_parts
from sensing.detectors.channelkernels import band_ratios, band_stretches


@dataclass(frozen=True, slots=True, kw_only=True)
class BandDecision:
    """`statistic`, `whole_db` and `lasting` of every channel's `ChannelDecision`, each of shape (channels, blocks)."""

    statistic: Floats
    whole_db: Floats
    lasting: Bools


class BandDetector:
    """Decides on blocks over one floor; thresholds are made once."""

    def __init__(self, detector: ChannelDetector, channels: Sequence[tuple[NDArray[np.intp], ChannelCells]]) -> None:
        """Args: of each channel its groups, as columns of the powers, and its cells, whose powers are not used."""
        self._detector, self._cells = detector, [cells for _, cells in channels]
        self._groups = np.concatenate([groups for groups, _ in channels]).astype(np.int64)
        self._starts = np.cumsum([0, *(len(groups) for groups, _ in channels)]).astype(np.int64)
        self._floor = np.concatenate([cells.floor for cells in self._cells]).astype(np.float64)
        self._bins = np.concatenate([cells.bins for cells in self._cells]).astype(np.float64)
        made = [detector.block_thresholds(cells) for cells in self._cells]
        self._whole = np.array([whole for whole, _ in made], np.float64)
        self._parts = np.concatenate([parts for _, parts in made]).astype(np.float64)
        self._limits: dict[int, Floats] = {}

    def decide(self, power: Floats, pieces: NDArray[np.int64] | None = None) -> BandDecision:
        """One decision for each channel and block.

        Args: power (blocks, columns), linear; pieces (pieces + 1,) with which block each piece of a look begins, and
            the last ends; None where it is one piece.
        """
        power = np.array(power, np.float64, order="C", copy=None)
        shape = (len(self._cells), len(power))
        over_whole, statistic, lasting = np.empty(shape), np.empty(shape), np.zeros(shape, np.bool_)
        band_ratios(
            power, self._groups, self._starts, self._floor, self._bins, self._whole, self._parts, over_whole, statistic
        )
        pieces = np.array([0, len(power)]) if pieces is None else pieces
        for length in STRETCHES:
            if len(power) >= length:
                band_stretches(
                    power, pieces, self._groups, self._starts, statistic, BURST, length, stretch_parts(length),
                    self._limits_of(length), self._bins, lasting,
                )  # fmt: skip
        return BandDecision(statistic=statistic, whole_db=10 * np.log10(np.maximum(over_whole, 1e-30)), lasting=lasting)

    def _limits_of(self, length: int) -> Floats:
        """The limits of stretches so long, channel after channel, shape (2, groups of all + channels)."""
        if length not in self._limits:
            each = [self._detector.stretch_limits(cells, length) for cells in self._cells]
            self._limits[length] = np.ascontiguousarray(np.concatenate(each, axis=1))
        return self._limits[length]
