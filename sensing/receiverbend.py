"""Tells whether a floor's shape over frequency is a receiver's, or that of a signal standing on a floor.

A dome or a tilt of some decibels is a receiver's. So is a passband beyond which next to nothing is left. Where the band
falls by more than that and ends in an even floor at both its ends, a signal that never stops may fill the middle: it
cannot be told from a filter without knowing the filter.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.orderstats import middle, quantile

Floats = NDArray[np.float64]

GENTLE_DB: Final = 6.5
"""Largest variation of a receiver's noise over frequency without a filter, dB."""
FILTERED_DB: Final = 35.0
"""Depth in dB beyond which a fall outside the passband is a filter's; a floor under a signal so deep is flat."""
FILTERED_SURELY_DB: Final = 50.0
"""Depth in dB beyond which no floor is searched: a signal that strong would fill the converter."""
INNER: Final = 0.45
END: Final = 0.0125
"""Share of the band at each end that shows whether the fall continues."""
END_BINS_LEAST: Final = 2
EVEN_DB: Final = 1.0
SURE: Final = 5.0
SMOOTHED: Final = 3


def receiver_bend(psd: Floats, *, frames: int, deep: bool) -> bool:
    """Whether a power density of this shape over frequency may be receiver noise.

    Args: psd mean power of each bin in so many frames, shape (bins,), lowest frequency first; deep: whether most of the
        band stands above what is left at its ends as a passband does.
    """
    bins = len(psd)
    level = 10 * np.log10(np.maximum(_smoothed(psd), 1e-30))
    at = np.arange(bins) / bins - 0.5
    inside = level[(np.abs(at) < INNER) & (np.abs(at) > 2 / bins)]
    sd = 4.343 / np.sqrt(frames * SMOOTHED * 0.6)
    if len(inside) == 0:
        return False
    low, high = quantile(inside, 0.02), quantile(inside, 0.98)
    if high - low <= GENTLE_DB + 2 * sd:
        return True
    end = max(END_BINS_LEAST, round(END * bins))
    ends = np.concatenate((level[-end:], level[:end]))
    depth = quantile(level, 0.8) - middle(ends)
    falling = float(np.ptp(ends)) > EVEN_DB + SURE * sd
    return deep and (depth >= FILTERED_SURELY_DB or (depth >= FILTERED_DB and falling))


def _smoothed(psd: Floats) -> Floats:
    """The mean of each bin with its neighbours; the band wraps round at its ends."""
    return np.asarray(sum(np.roll(psd, by) for by in range(-(SMOOTHED // 2), SMOOTHED // 2 + 1)) / SMOOTHED, np.float64)
