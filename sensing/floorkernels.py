"""Compiled loops of the floor's learning: which blocks are quiet, and what they say, of all groups at once."""

from math import log10, sqrt
from typing import Any

from sensing.loops import precompiled


@precompiled("w2 float64, w1 float64, w1 float64, w1 int64, int64, w2 float64")
def quiet_levels(ordered: Any, cuts: Any, bias: Any, start: Any, steps: int, found: Any) -> None:
    """Forward consecutive mean excision of every group's blocks: how many are quiet, and at which level.

    Fills `found` (3, groups) with level and number of the quiet blocks, and their mean square over their mean's square.

    Args: ordered the powers of each group's blocks, the least first, (blocks, groups); cuts how far over the level a
        quiet block may be; bias what the cut takes off the mean; start how many blocks of each group are quiet
        at first; steps how often the level is made again at most.
    """
    blocks, groups = ordered.shape
    for g in range(groups):
        total = 0.0
        for b in range(start[g]):
            total += ordered[b, g]
        found[0, g], found[1, g], found[2, g] = total / start[g], start[g], total
    for _ in range(steps):
        moved = False
        for g in range(groups):
            count, total, limit = int(found[1, g]), found[2, g], cuts[g] * found[0, g]
            grown = count
            while grown < blocks and ordered[grown, g] <= limit:
                total += ordered[grown, g]
                grown += 1
            found[0, g], found[1, g], found[2, g] = total / grown / bias[g], grown, total
            moved = moved or grown != count
        if not moved:
            break
    for g in range(groups):
        count, squares = int(found[1, g]), 0.0
        for b in range(count):
            squares += ordered[b, g] * ordered[b, g]
        mean = max(found[2, g] / count, 1e-150)
        found[2, g] = squares / count / (mean * mean)


@precompiled("w1 float64, w1 float64, w1 int64, w1 int64, float64, w1 bool_")
def mark_risen(over: Any, limit: Any, order: Any, runs: Any, least: float, found: Any) -> None:
    """Mark in `found` (groups,) the groups whose mean over their neighbours rose by more than chance explains.

    Args: over and limit of each group, dB; order the groups as their frequencies are; runs how many neighbours are
        averaged; least what a mean must exceed whatever its limit.
    """
    count = order.shape[0]
    for r in range(runs.shape[0]):
        wide = runs[r]
        if wide > count // 2:
            break
        total, most = 0.0, 0.0
        for i in range(count):
            total += over[order[i]]
            most += limit[order[i]]
            if i >= wide:
                total -= over[order[i - wide]]
                most -= limit[order[i - wide]]
            if i >= wide - 1 and total / wide > max(least, most / wide / wide**0.5):
                for k in range(i - wide + 1, i + 1):
                    found[order[k]] = True


@precompiled("w1 float64, w1 float64, w1 int64, w1 int64, float64, w1 bool_")
def mark_channels(over: Any, limit: Any, members: Any, starts: Any, least: float, found: Any) -> None:
    """Mark in `found` (groups,) the groups of every channel whose mean rise is over what chance makes of its mean.

    Args: over and limit of each group, dB; members the groups of all channels, those of channel c from `starts[c]` on,
        (channels + 1,); least what a mean must exceed whatever its limit.
    """
    for c in range(starts.shape[0] - 1):
        low, high = starts[c], starts[c + 1]
        total, most = 0.0, 0.0
        for i in range(low, high):
            total += over[members[i]]
            most += limit[members[i]]
        count = high - low
        if total / count > max(least, most / count / sqrt(count)):
            for i in range(low, high):
                found[members[i]] = True


@precompiled(
    "w1 float64, w1 float64, w1 float64, w1 float64, w1 float64, w1 float64, float64, float64, float64, w1 float64, "
    "w1 float64"
)
def rises(
    seen: Any, idle: Any, level: Any, cells: Any, spread: Any, shapes: Any, drift_db: float, alike_db: float,
    deviations: float, rise: Any, limit: Any,
) -> None:  # fmt: skip
    """Fill `rise` with how far each group's quiet level is over the floor, and `limit` how far it may be by chance, dB.

    Args: seen and idle: level and number of the quiet blocks; level, cells and spread of the floor, which lies
        `drift_db` higher by now; shapes the averages behind a block; a limit is `deviations`, at least `alike_db`.
    """
    for g in range(rise.shape[0]):
        sd = sqrt((1 / idle[g] + 1 / cells[g]) * max(1 / shapes[g], spread[g]))
        rise[g] = 10 * log10(max(seen[g] / max(level[g], 1e-30), 1e-30)) - drift_db
        limit[g] = max(alike_db, deviations * 4.343 * sd)


@precompiled(
    "w1 float64, w1 float64, w1 float64, w1 bool_, w1 float64, w1 float64, w1 float64, w1 float64, w1 float64, "
    "w1 bool_, float64, float64"
)
def teach(
    level: Any, cells: Any, spread: Any, sank: Any, seen: Any, idle: Any, wide: Any, rise: Any, limit: Any, risen: Any,
    least: float, most: float,
) -> None:  # fmt: skip
    """Move the floor (`level`, `cells`, `spread`) to what was quieter twice, and average what is alike into it.

    Args: sank what was quieter the time before, and becomes what is now; seen, idle and wide: level, number and spread
        of the quiet blocks, which must be `least` to make a floor lower; risen teaches nothing; a floor remembers
        `most` blocks.
    """
    for g in range(level.shape[0]):
        sinks = rise[g] < -limit[g] and idle[g] >= least
        if sinks and sank[g]:
            level[g], cells[g], spread[g] = seen[g], idle[g], wide[g]
        sank[g] = sinks
        if abs(rise[g]) <= limit[g] and not risen[g]:
            known = min(cells[g], most)
            total = known + idle[g]
            level[g] = (level[g] * known + seen[g] * idle[g]) / total
            spread[g] = (spread[g] * known + wide[g] * idle[g]) / total
            cells[g] = total
