"""Compiled loop of the floor's learning: which of a group's blocks are quiet, for all groups at once."""

from typing import Any

from sensing.loops import precompiled


@precompiled("w2 float64, w1 float64, w1 float64, int64, int64, w2 float64")
def quiet_levels(ordered: Any, cuts: Any, bias: Any, start: int, steps: int, found: Any) -> None:
    """Forward consecutive mean excision of every group's blocks: how many are quiet, and at which level.

    Fills `found` (3, groups) with level and number of the quiet blocks, and their mean square over their mean's square.

    Args: ordered the powers of each group's blocks, the least first, (blocks, groups); cuts how far over the level a
        quiet block may be; bias what the cut takes off the mean; start how many blocks are quiet at first; steps how
        often the level is made again at most.
    """
    blocks, groups = ordered.shape
    for g in range(groups):
        total = 0.0
        for b in range(start):
            total += ordered[b, g]
        found[0, g], found[1, g], found[2, g] = total / start, start, total
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
