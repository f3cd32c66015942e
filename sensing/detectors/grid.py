"""Tests whether a band's pulses keep one period for longer than a radar's burst, though most are not detected.

Symbols of uplink control near the noise are heard now and then, and where noise cut them the middle is off by some
microseconds: no step from one to the next holds. All of them together still lie on one grid of time.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.probability import binomial_sf

Times = NDArray[np.floating[Any]]

OFF_US: Final = 14.0
"""The largest error in us of a pulse's time on a grid: half of the longest symbol that noise cuts in two."""
SHARE_MOST: Final = 0.25
"""Most width, as a share of the period, of the window around a grid's instant; it limits the error of short periods."""
DIVIDED: Final = (1, 2, 3, 4, 6)
"""Numbers of periods that two successive detected pulses may lie apart."""
LEAST: Final = 8
CHANCE: Final = 1e-9
"""Probability that random pulses fit a period like that, for one of the periods tried."""


def keeps_a_beat(train_us: Times, pri_us: float, others_us: Times, *, shortest_us: float, burst_us: float) -> bool:
    """Whether so many of a band's pulses fit a train's period, for longer than a burst, that it is not chance.

    Args: train_us: times of the train's pulses, whose intervals are pri_us or small multiples of it; others_us: times
        of all other pulses of the band; shortest_us: least period tried; burst_us: longest duration of a burst.
    """
    if len(others_us) < LEAST:
        return False
    own, away = train_us - train_us[0], others_us - train_us[0]
    reach = float(np.abs(away).max())
    for parts in DIVIDED:
        period = pri_us / parts
        if period < shortest_us:
            break
        off = min(OFF_US, SHARE_MOST * period / 2)
        tried = period + np.arange(-2 * OFF_US / parts, 2 * OFF_US / parts, off * period / reach)
        tried = tried[_on(own, tried, off).all(axis=1)]
        on = _on(away, tried, off)
        if len(on) == 0:
            continue
        best = on[int(on.sum(axis=1).argmax())]
        count = int(best.sum())
        if count < LEAST or float(np.ptp(np.append(away[best], 0.0))) <= burst_us:
            continue
        if binomial_sf(count - 1, len(away), 2 * off / period) < CHANCE:
            return True
    return False


def _on(away_us: Times, periods: Times, off_us: float) -> NDArray[np.bool_]:
    """Which instants fit the grid of each period, shape (periods, instants)."""
    each = periods[:, None]
    return np.asarray(np.abs(np.mod(away_us + each / 2, each) - each / 2) <= off_us, np.bool_)
