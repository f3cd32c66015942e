"""Compiled loops of the channel detector: each block against its thresholds, and each longer stretch of blocks.

What is no number stays none, and is over nothing. Arrays are float64, in C order.
"""

from math import isnan
from typing import Any

from sensing.loops import precompiled


@precompiled("w2 float64, w1 float64, w1 float64, float64, w1 float64, w1 float64, w1 float64")
def block_ratios(power: Any, floor: Any, bins: Any, whole: Any, parts: Any, over_whole: Any, statistic: Any) -> None:
    """Fill `over_whole` with each block's energy over its threshold, `statistic` with the largest ratio of all tests.

    Args: power (blocks, groups); floor, bins and `parts`, the thresholds, of each group; whole that of the energy.
    """
    idle = 0.0
    for g in range(floor.shape[0]):
        idle += floor[g] * bins[g]
    idle = max(idle * whole, 1e-30)
    for b in range(power.shape[0]):
        energy, worst = 0.0, 0.0
        for g in range(floor.shape[0]):
            energy += power[b, g] * bins[g]
            ratio = power[b, g] / max(floor[g] * parts[g], 1e-30)
            worst = ratio if ratio > worst or isnan(ratio) else worst
        over_whole[b] = energy / idle
        statistic[b] = over_whole[b] if over_whole[b] > worst or isnan(over_whole[b]) else worst


@precompiled("w2 float64, w1 float64, float64, int64, int64, w2 float64, w1 float64, w1 bool")
def mark_stretches(
    power: Any, statistic: Any, burst: Any, length: int, parts: int, limits: Any, bins: Any, lasting: Any
) -> None:
    """Mark the blocks of every stretch of `length` without a burst whose mean is over a limit, as is each part's.

    Args: statistic (blocks,), a burst from `burst` on; limits (2, groups + 1), of the whole stretch and of one of its
        `parts`, for the energy first, then for each group.
    """
    groups, each = bins.shape[0], length // parts
    for first in range(0, power.shape[0] - length + 1, length):
        quiet = True
        for b in range(first, first + length):
            quiet = quiet and statistic[b] < burst
        if not quiet:
            continue
        found = False
        for test in range(groups + 1):
            total, all_over = 0.0, True
            for p in range(parts):
                some = 0.0
                for b in range(first + p * each, first + (p + 1) * each):
                    if test > 0:
                        some += power[b, test - 1]
                    else:
                        for g in range(groups):
                            some += power[b, g] * bins[g]
                total += some
                all_over = all_over and some / each > limits[1, test]
            found = found or (all_over and total / length > limits[0, test])
        if found:
            for b in range(first, first + length):
                lasting[b] = True


@precompiled("w2 float64, w1 int64, w1 int64, w1 float64, w1 float64, w1 float64, w1 float64, w2 float64, w2 float64")
def band_ratios(
    power: Any, groups: Any, starts: Any, floor: Any, bins: Any, whole: Any, parts: Any, over_whole: Any, statistic: Any
) -> None:
    """`block_ratios` for channel after channel; `over_whole` and `statistic` (channels, blocks).

    Args: power (blocks, columns); `groups` the columns of all channels, those of channel c from `starts[c]` on, as are
        floor, bins and `parts`; whole (channels,).
    """
    for c in range(whole.shape[0]):
        low, high = starts[c], starts[c + 1]
        idle = 0.0
        for g in range(low, high):
            idle += floor[g] * bins[g]
        idle = max(idle * whole[c], 1e-30)
        for b in range(power.shape[0]):
            energy, worst = 0.0, 0.0
            for g in range(low, high):
                value = power[b, groups[g]]
                energy += value * bins[g]
                ratio = value / max(floor[g] * parts[g], 1e-30)
                worst = ratio if ratio > worst or isnan(ratio) else worst
            over = energy / idle
            over_whole[c, b] = over
            statistic[c, b] = over if over > worst or isnan(over) else worst


@precompiled(
    "w2 float64, w1 int64, w1 int64, w1 int64, w2 float64, float64, int64, int64, w2 float64, w1 float64, w2 bool"
)
def band_stretches(
    power: Any,
    pieces: Any,
    groups: Any,
    starts: Any,
    statistic: Any,
    burst: Any,
    length: int,
    parts: int,
    limits: Any,
    bins: Any,
    lasting: Any,
) -> None:
    """`mark_stretches` for piece after piece and channel after channel; arguments as in `band_ratios`.

    Args: `pieces` (pieces + 1,) the blocks with which each piece begins, and the last ends: no stretch goes over two;
        limits (2, columns of all channels + channels): those of channel c begin at `starts[c] + c`.
    """
    each = length // parts
    for c in range(statistic.shape[0]):
        low, high = starts[c], starts[c + 1]
        for piece in range(pieces.shape[0] - 1):
            for first in range(pieces[piece], pieces[piece + 1] - length + 1, length):
                quiet = True
                for b in range(first, first + length):
                    quiet = quiet and statistic[c, b] < burst
                if not quiet:
                    continue
                found = False
                for test in range(high - low + 1):
                    total, all_over = 0.0, True
                    for p in range(parts):
                        some = 0.0
                        for b in range(first + p * each, first + (p + 1) * each):
                            if test > 0:
                                some += power[b, groups[low + test - 1]]
                            else:
                                for g in range(low, high):
                                    some += power[b, groups[g]] * bins[g]
                        total += some
                        all_over = all_over and some / each > limits[1, low + c + test]
                    found = found or (all_over and total / length > limits[0, low + c + test])
                if found:
                    for b in range(first, first + length):
                        lasting[c, b] = True


@precompiled("r2 int16, r1 int64, r1 float64, r1 float64, w2 float64")
def level_powers(levels: Any, pieces: Any, factors: Any, table: Any, power: Any) -> None:
    """Fill `power` (blocks, columns) with what stands in `table` for each level, from the least on, times a factor.

    Args: pieces as in `band_stretches`; factors (pieces,) of each piece.
    """
    for piece in range(factors.shape[0]):
        for b in range(pieces[piece], pieces[piece + 1]):
            for g in range(levels.shape[1]):
                power[b, g] = table[levels[b, g] + 32768] * factors[piece]
