"""Detects the start of reception, while the receiver's gain is still settling.

A tuner that has just been started gives next to nothing for some milliseconds, and then its noise. A floor learned from
that time would lie far below the receiver's own, and all that came later would be over it.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

ONSET_S: Final = 0.025
"""Time in s from the first sample in which a receiver can be starting."""
ONSET_DB: Final = 3.0
STRAY_MOST: Final = 4
"""Most blocks of the start that need not be low, half of it at most: the DC offset of a starting tuner jumps and is
heard all over the band."""
FALLEN: Final = 0.7
"""Share of the start's depth in dB at which a later block counts as fallen back to it."""
DEVIATIONS: Final = 5.0
BLOCKS_LEAST: Final = 8
GROUPS_LEAST: Final = 6
SETTLED_SHARE: Final = 0.25
STAYED_SHARE: Final = 0.07
"""Largest share of the band that may stay, or rise by less than half, when the gain rises: the receiver's own lines."""
OFFSET_REACH: Final = 0.15
"""Distance from the tuned frequency, as a share of the rate, within which a settling DC offset is seen."""
ALIKE_SHARE: Final = 0.6
ALIKE_DB: Final = 2.0


def rising_blocks(power: Floats, shapes: Floats, at: Floats, *, most: int) -> int:
    """Number of first blocks whose level is lower, all over the band, than at the look's end.

    One block more is counted, for the rise itself; all blocks where more than a quarter are low: the gain may not have
    settled. 0 where a later block is as low again: a gain that has risen stays.

    Args: power (blocks, groups); shapes, independent averages behind a block of each group; at, its frequency, -0.5 to
        0.5 of the sample rate; most: with more low blocks than this the result is 0.
    """
    blocks, groups = int(power.shape[0]), int(power.shape[1])
    if blocks < BLOCKS_LEAST or groups < GROUPS_LEAST or most <= 0:
        return 0
    level_db = 10 * np.log10(np.maximum(power.astype(np.float64), 1e-30))
    end = level_db[-max(BLOCKS_LEAST // 2, blocks // 4) :]
    over_db = np.median(level_db - np.median(end, axis=0), axis=1)
    sd_db = 4.343 / np.sqrt(shapes)
    chance_db = DEVIATIONS * 1.25 * float(np.median(sd_db)) / np.sqrt(groups)
    low = over_db < -max(ONSET_DB, chance_db)
    stray = np.cumsum(~low)
    begins = np.flatnonzero(low & (stray <= np.minimum(STRAY_MOST, np.arange(blocks) / 2)))
    count = int(begins[-1]) + 1 if len(begins) else 0
    if count == 0 or count > most or (over_db[count:] < FALLEN * np.median(over_db[:count])).any():
        return 0
    outer = np.abs(at) > OFFSET_REACH
    if not _alike(power[:count, outer], power[count:, outer], sd_db[outer]):
        return 0
    return blocks if count > SETTLED_SHARE * blocks else min(count + 1, blocks)


def _alike(first: Floats, rest: Floats, sd_db: Floats) -> bool:
    """Whether the whole band rose by one factor from the first blocks to the rest, with no part left behind."""
    if len(rest) == 0:
        return True
    rise = 10 * np.log10(np.maximum(np.median(rest, axis=0), 1e-30) / np.maximum(np.median(first, axis=0), 1e-30))
    moved = float(np.median(rise))
    limit = np.maximum(ALIKE_DB, DEVIATIONS * sd_db * np.sqrt(1 / len(first) + 1 / len(rest)))
    alike = float((np.abs(rise - moved) <= limit).mean()) >= ALIKE_SHARE
    stayed = (rise < moved / 2) & (np.abs(rise - moved) > limit)
    return alike and int(stayed.sum()) <= max(1.0, STAYED_SHARE * len(rise))
