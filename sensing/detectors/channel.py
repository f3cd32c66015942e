"""Detects in each block whether a channel is busy: by its whole energy, its loudest group, and both over stretches.

This is what a survey decides with and what the published tables measure. A wide signal shows in the energy of the whole
channel, a narrow one in one group of bins, a weak one that lasts in the mean over many blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.channelkernels import block_ratios, mark_stretches
from sensing.detectors.decision import Decision
from sensing.theory import f_threshold

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WHOLE_SHARE: Final = 0.5
"""The share of the allowed false alarms spent on the whole channel's energy; the groups' tests have the rest."""
STRETCH_PFA: Final = 2e-6
"""False-alarm probability of a longer stretch: it marks many blocks at once, so it must be rare."""
STRETCHES: Final = (8, 64)
STRETCH_PARTS: Final = 4
PART_PFA: Final = 0.05
"""False-alarm probability for each part of a stretch: a signal on for a while is not on for all of it."""
BURST: Final = 2.0
STEPS_PER_DECADE: Final = 20
"""Resolution, in steps per decade, of the averages behind a floor for which thresholds are computed."""
REMEMBERED: Final = 1024
"""Thresholds cached: a floor that is still being learned asks for new ones each time, and old ones seldom again."""
STRETCH_UNEVEN: Final = 2.0
"""Factor on the allowed unevenness of the floor over a stretch, where the floor's error is all that matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCells:
    """The powers of one channel's blocks and the noise floor they are compared with.

    `power` shape (blocks, groups); of each group: the `floor`, how many `bins` it has, the independent averages
    `shapes` behind one block, and those behind the floor, `reference`. `correlation` is the ratio of the channel's
    independent averages to the sum of its groups', because neighbouring bins are correlated. `least` is a ratio to the
    floor that a group must exceed whatever its threshold. `known` and `limits` keep thresholds for the next blocks over
    the same floor.
    """

    power: Floats
    floor: Floats
    bins: Floats
    shapes: Floats
    reference: Floats
    least: Floats
    correlation: float = 1.0
    known: dict[tuple[float, int, float], tuple[float, Floats]] = field(default_factory=dict)
    limits: dict[tuple[int, float], Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdBasis:
    """What the thresholds of several channels are computed from; channel c has the groups from `starts[c]` on.

    Of each channel: how many `groups` it has, its idle `energy`, and the independent averages behind that energy in one
    block, `channel_averages`, and behind its floor, `channel_steps`, in steps of STEPS_PER_DECADE. Of each group:
    `least` as in ChannelCells, and the same averages of its power, `group_averages` and `group_steps`.
    """

    starts: NDArray[np.int64]
    groups: tuple[int, ...]
    least: Floats
    energy: Floats
    channel_averages: Floats
    channel_steps: tuple[float, ...]
    group_averages: Floats
    group_steps: tuple[float, ...]

    @classmethod
    def of(cls, channels: Sequence[ChannelCells]) -> "ThresholdBasis":
        """The basis of these channels, each with at least one group."""
        groups = tuple(len(one.floor) for one in channels)
        starts = np.cumsum([0, *groups[:-1]])
        weight = np.concatenate([one.floor for one in channels]) * np.concatenate([one.bins for one in channels])
        shapes = np.concatenate([one.shapes for one in channels])
        reference = np.concatenate([one.reference for one in channels])
        energy, spread = np.add.reduceat(np.stack((weight, weight * weight / shapes)), starts, axis=1)
        correlation = np.array([one.correlation for one in channels])
        averages = np.maximum(energy * energy / np.maximum(spread, 1e-300) * correlation, 1.0)
        steps = _steps(np.concatenate((averages * np.minimum.reduceat(reference / shapes, starts), reference)))
        return cls(
            starts=starts, groups=groups, least=np.concatenate([one.least for one in channels]), energy=energy,
            channel_averages=averages, channel_steps=tuple(steps[: len(groups)]),
            group_averages=shapes, group_steps=tuple(steps[len(groups) :]),
        )  # fmt: skip

    def thresholds(self, pfa: float, *, blocks: int) -> tuple[Floats, Floats]:
        """Thresholds of each channel's energy and each group's power, for the mean of `blocks`; ratios to the floor."""
        whole = [
            _threshold(shape, step, pfa * WHOLE_SHARE)
            for shape, step in zip((self.channel_averages * blocks).tolist(), self.channel_steps, strict=True)
        ]
        pfas = np.repeat([pfa * (1 - WHOLE_SHARE) / count for count in self.groups], self.groups).tolist()
        parts = map(_threshold, (self.group_averages * blocks).tolist(), self.group_steps, pfas)
        return np.array(whole), np.array(list(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDecision(Decision):
    """The largest ratio of a statistic to its threshold; `whole_db` is the channel's energy over its threshold, dB.

    `lasting` are blocks that belong to a stretch whose mean is over its threshold.
    """

    whole_db: Floats
    lasting: Bools

    @property
    def present(self) -> Bools:
        """Where a block, or a stretch that contains it, is over its threshold."""
        above: Bools = (self.statistic > self.threshold) | self.lasting
        return above


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDetector:
    """Energy detector over the estimated floor, F distributed in noise; `pfa` is per channel and block.

    `uneven_db` is how far the floor of a part of the band may be off.
    """

    pfa: float
    uneven_db: float = 0.0

    def decide(self, seen: ChannelCells) -> ChannelDecision:
        """One decision for each block."""
        whole, parts = self.block_thresholds(seen)
        power = np.array(seen.power, np.float64, order="C")
        over_whole, statistic = np.empty(len(power)), np.empty(len(power))
        block_ratios(power, _own(seen.floor), _own(seen.bins), whole, _own(parts), over_whole, statistic)
        lasting = self._lasting(seen, power, statistic)
        return ChannelDecision(
            statistic=statistic,
            threshold=np.ones_like(statistic),
            pfa=self.pfa,
            whole_db=10 * np.log10(np.maximum(over_whole, 1e-30)),
            lasting=lasting,
        )

    @property
    def block_pfa(self) -> float:
        """The false-alarm probability left for single blocks."""
        return max(self.pfa - len(STRETCHES) * STRETCH_PFA, self.pfa / 2)

    def sure(self, seen: ChannelCells, *, pfa: float) -> float:
        """The ratio of `statistic` beyond which a block is over the threshold that it would have at another `pfa`."""
        whole, parts = self.block_thresholds(seen)
        strict, strict_parts = self._thresholds(seen, pfa, blocks=1, uneven=1.0)
        return max(strict / whole, float((strict_parts / parts).max()))

    def block_thresholds(self, seen: ChannelCells) -> tuple[float, Floats]:
        """Thresholds of a single block: of the channel's energy, and of each group's power; ratios to the floor."""
        return self._thresholds(seen, self.block_pfa, blocks=1, uneven=1.0)

    def whole_threshold(self, seen: ChannelCells) -> float:
        """The ratio to the floor over which the energy of the whole channel makes a block busy."""
        return self.block_thresholds(seen)[0]

    def whole_shape(self, seen: ChannelCells) -> float:
        """Independent averages behind the channel's energy in one block: fewer where its groups' floors differ."""
        return float(ThresholdBasis.of([seen]).channel_averages[0])

    def _thresholds(self, seen: ChannelCells, pfa: float, *, blocks: int, uneven: float) -> tuple[float, Floats]:
        """Thresholds of the channel's energy and of each group, for the mean of so many blocks; ratios to the floor."""
        key = (pfa, blocks, uneven * self.uneven_db)
        if key not in seen.known:
            whole, parts = self.thresholds(ThresholdBasis.of([seen]), pfa, blocks=blocks, uneven=uneven)
            seen.known[key] = float(whole[0]), parts
        return seen.known[key]

    def thresholds(self, basis: ThresholdBasis, pfa: float, *, blocks: int, uneven: float) -> tuple[Floats, Floats]:
        """Of each channel's energy and of each group's power, ratios to the floor, whose unevenness is allowed for."""
        slack = 10 ** (uneven * self.uneven_db / 10)
        whole, parts = basis.thresholds(pfa, blocks=blocks)
        return whole * slack, np.maximum(parts * slack, basis.least)

    def _lasting(self, seen: ChannelCells, power: Floats, statistic: Floats) -> Bools:
        """Blocks of stretches without strong bursts whose mean is over its threshold and of which no part is idle."""
        lasting = np.zeros(len(statistic), np.bool_)
        for length in STRETCHES:
            if len(statistic) < length:
                continue
            limits, parts = self.stretch_limits(seen, length), stretch_parts(length)
            mark_stretches(power, statistic, BURST, length, parts, limits, _own(seen.bins), lasting)
        return lasting

    def stretch_limits(self, seen: ChannelCells, length: int) -> Floats:
        """Thresholds for the mean of a stretch, and of one of its parts: shape (2, groups + 1), energy first."""
        key = (length, self.uneven_db)
        if key not in seen.limits:
            part = self._limits(seen, length // stretch_parts(length), PART_PFA)
            seen.limits[key] = np.stack((self._limits(seen, length, STRETCH_PFA), part))
        return seen.limits[key]

    def _limits(self, seen: ChannelCells, length: int, pfa: float) -> Floats:
        """Thresholds for the mean of `length` blocks: the channel's energy first, then each group's power."""
        whole, parts = self._thresholds(seen, pfa, blocks=length, uneven=STRETCH_UNEVEN)
        return np.concatenate(([whole * float(seen.floor @ seen.bins)], parts * seen.floor))


def stretch_parts(length: int) -> int:
    """The number of parts in which a stretch of `length` blocks is tested."""
    return STRETCH_PARTS * (length // STRETCHES[0] > 1) or 2


def group_limits(shapes: Floats, reference: Floats, *, pfa: float) -> Floats:
    """Threshold of each group's power in a block, as ratio to its floor, with the floor's own uncertainty included."""
    found = zip(shapes.tolist(), _steps(reference), strict=True)
    return np.array([_threshold(shape, step, pfa) for shape, step in found])


def _steps(averages: Floats) -> list[float]:
    """The averages behind floors in steps of STEPS_PER_DECADE, rounded down; one average is step 0."""
    steps: list[float] = np.floor(np.log10(np.maximum(averages, 1.0)) * STEPS_PER_DECADE).tolist()
    return steps


def _own(values: Floats) -> Floats:
    """A contiguous float64 copy for a compiled loop, which takes one type only."""
    return np.array(values, np.float64, order="C")


@lru_cache(maxsize=REMEMBERED)
def _rounded_threshold(shape: float, reference: float, pfa: float) -> float:
    return f_threshold(shape=shape, reference_shape=reference, pfa=pfa)


@lru_cache(maxsize=REMEMBERED)
def _four_digits(value: float) -> float:
    """The value rounded to four significant digits."""
    return float(f"{value:.4g}")


@lru_cache(maxsize=REMEMBERED)
def _threshold(shape: float, step: float, pfa: float) -> float:
    """The F threshold; `step` is the number of averages behind the floor, in steps of STEPS_PER_DECADE."""
    reference = _four_digits(10 ** (step / STEPS_PER_DECADE))
    return _rounded_threshold(float(f"{shape:.4g}"), reference, _four_digits(pfa))
