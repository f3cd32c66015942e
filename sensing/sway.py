"""Estimates slow variation of the receiver's gain from block to block, common to the whole band.

A supply's hum moves a receiver's gain by a dB a hundred times a second. A signal begins and ends within a block, or
leaves a part of the band where it was; a gain moves all of it, and from one to the next of a few blocks by little.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TOGETHER: Final = 4
"""Number of blocks averaged before they are compared."""
PARTS_LEAST: Final = 4
USED_DB: Final = 4.0
"""Rise in dB from which a group is taken for busy and excluded, if half of the band is left."""
IDLE_LEAST: Final = 0.5
LOW_SHARE: Final = 0.1
LOW_DEVIATIONS: Final = 1.28
"""Deviations by which the lowest tenth of a normal distribution lies below its median."""
LOW_SPREAD: Final = 1.7
"""Standard error of the lowest tenth, relative to that of a mean of as many values."""
STEP_MOST_DB: Final = 0.45
"""Largest step in dB from one part to the next; a larger one is a signal's, or a gain step."""
BESIDE_MOST: Final = 1.4
"""Largest residual of the parts from a smooth course, in standard deviations; a sudden start leaves more."""
STEP_DEVIATIONS: Final = 3.0
SWAY_MOST_DB: Final = 3.0
SWAY_LEAST_DB: Final = 0.12
ROUGH: Final = 1.2
"""Largest ratio of the sum of squared differences to that of squares about the mean: 2 by chance, less than this in one
piece of twenty."""
SWAY_SURE: Final = 1.3
"""Standard deviation of a smooth sway, in those of chance, from which it is accepted."""
DEGREE: Final = 4
"""Degree of the polynomial fitted to the gain over a piece, which lasts one period of mains hum at most."""
SMOOTH: Final = 0.7
"""Ratio of mean squared difference to variance: 2 by chance, less than this once in 1000 pieces."""


@dataclass(frozen=True, slots=True)
class Sway:
    """The gain's deviation in each block of a piece, in dB; None where it is not clear.

    `varies` if the whole band goes up and down by more than chance, whatever makes it.
    """

    course_db: Floats | None
    varies: bool


STEADY: Final = Sway(None, varies=False)


def may_sway(power: Floats) -> bool:
    """Whether the total power of the band varies more smoothly from block to block than chance does.

    Args: power (blocks, groups), linear.
    """
    parts = len(power) // TOGETHER
    if parts < PARTS_LEAST:
        return False
    whole = (power[: parts * TOGETHER] @ np.ones(power.shape[1])).reshape(parts, TOGETHER).sum(axis=1)
    beside, changes = whole - whole.sum() / parts, whole[1:] - whole[:-1]
    return float(changes @ changes) < ROUGH * float(beside @ beside)


def sway(power: Floats, level: Floats, variance: Floats, *, last_db: float | None = None) -> Sway:
    """Estimate the gain's variation in a piece.

    Args: power (blocks, groups); level of the floor with its drift, and relative variance of one idle block, both
        (groups,); last_db: deviation at the end of the piece just before, None if it did not sway: a piece at the crest
        of a sway hardly varies itself.
    """
    parts = len(power) // TOGETHER
    end = parts * TOGETHER
    if parts < PARTS_LEAST or power.shape[1] < PARTS_LEAST:
        return STEADY
    means = (power[0:end:TOGETHER] + power[1:end:TOGETHER] + power[2:end:TOGETHER] + power[3:end:TOGETHER]) / TOGETHER
    over_db = 10 * np.log10(np.maximum(means / np.maximum(level, 1e-30), 1e-6))
    sd = 4.343 * float(np.sqrt(np.median(variance) / TOGETHER))
    ordered = np.sort(np.where(over_db > USED_DB, np.inf, over_db), axis=1)
    idle = np.count_nonzero(np.isfinite(ordered), axis=1)
    if int(idle.min()) < IDLE_LEAST * power.shape[1]:
        return STEADY
    rows = np.arange(parts)
    low = ordered[rows, (LOW_SHARE * (idle - 1)).astype(np.intp)] + LOW_DEVIATIONS * sd
    moved = np.minimum(ordered[rows, (idle - 1) // 2], low)
    chance = LOW_SPREAD * sd / np.sqrt(power.shape[1])
    at = (np.arange(parts) + 0.5) / parts - 0.5
    swings = float(moved.std()) > max(SWAY_LEAST_DB, SWAY_SURE * chance)
    if not swings and last_db is None:
        return STEADY
    polynomial = np.polynomial.polynomial.polyfit(at, moved, min(DEGREE, parts // 4))
    course = np.polynomial.polynomial.polyval(at, polynomial)
    smooth = float(np.sqrt(((moved - course) ** 2).mean())) <= BESIDE_MOST * chance
    smooth = smooth and float(np.abs(np.diff(course)).max()) <= STEP_MOST_DB
    if not smooth or float(np.abs(moved).max()) > SWAY_MOST_DB:
        return Sway(None, varies=swings)
    near = STEP_MOST_DB + STEP_DEVIATIONS * chance
    goes_on = last_db is not None and abs(float(course[0]) - last_db) < near and abs(float(moved.mean())) > chance
    if not goes_on and not (swings and float((np.diff(moved) ** 2).mean()) < SMOOTH * float(moved.var())):
        return Sway(None, varies=swings)
    where = (np.arange(len(power)) + 0.5) / (parts * TOGETHER) - 0.5
    return Sway(np.asarray(np.polynomial.polynomial.polyval(where, polynomial), np.float64), varies=swings)
