"""Decides all channels of a band at once over one floor: as `ChannelDetector` for each, in two compiled loops.

A look has few blocks and a node many channels: channel by channel the calls take longer than the arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.channel import (
    BURST,
    PART_PFA,
    STRETCH_PFA,
    STRETCH_UNEVEN,
    STRETCHES,
    Bools,
    ChannelCells,
    ChannelDetector,
    Floats,
    ThresholdBasis,
    stretch_parts,
)
from sensing.detectors.channelkernels import band_ratios, band_stretches


@dataclass(frozen=True, slots=True, kw_only=True)
class BandDecision:
    """`statistic`, `whole_db` and `lasting` of every channel's `ChannelDecision`, each of shape (channels, blocks)."""

    statistic: Floats
    whole_db: Floats
    lasting: Bools


class BandDetector:
    """Decides on blocks of all channels over one floor; the thresholds are computed once."""

    def __init__(self, detector: ChannelDetector, channels: Sequence[tuple[NDArray[np.intp], ChannelCells]]) -> None:
        """Args: channels: of each, the columns of `power` that are its groups, and its cells, whose power is unused."""
        cells = [one for _, one in channels]
        self._detector, self._basis, self._channels = detector, ThresholdBasis.of(cells), len(cells)
        self._groups = np.concatenate([groups for groups, _ in channels]).astype(np.int64)
        self._starts = np.append(self._basis.starts, len(self._groups))
        self._floor = np.concatenate([one.floor for one in cells]).astype(np.float64)
        self._bins = np.concatenate([one.bins for one in cells]).astype(np.float64)
        self._whole, self._parts = detector.thresholds(self._basis, detector.block_pfa, blocks=1, uneven=1.0)
        self._limits: dict[int, Floats] = {}

    def decide(self, power: Floats, pieces: NDArray[np.int64] | None = None) -> BandDecision:
        """One decision for each channel and block.

        Args: power (blocks, columns), linear; pieces (pieces + 1,): the first block of each piece of a look, then the
            number of blocks; None where all blocks are one piece.
        """
        power = np.array(power, np.float64, order="C", copy=None)
        shape = (self._channels, len(power))
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
        """Thresholds of stretches of `length` blocks, channel after channel, shape (2, groups of all + channels)."""
        if length not in self._limits:
            tests = ((length, STRETCH_PFA), (length // stretch_parts(length), PART_PFA))
            self._limits[length] = np.stack([self._limits_at(pfa, blocks) for blocks, pfa in tests])
        return self._limits[length]

    def _limits_at(self, pfa: float, blocks: int) -> Floats:
        """Thresholds for the mean of so many blocks: each channel's energy, then the powers of its groups."""
        whole, parts = self._detector.thresholds(self._basis, pfa, blocks=blocks, uneven=STRETCH_UNEVEN)
        limits: Floats = np.insert(parts * self._floor, self._basis.starts, whole * self._basis.energy)
        return limits
