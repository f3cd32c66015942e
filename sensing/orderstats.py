"""Median and quantiles of small arrays, faster than numpy, whose checks take longer than the sorting."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def middle(values: Floats) -> float:
    """The median of the values, as `np.median`."""
    ordered, half = np.sort(values), len(values) // 2
    return float(ordered[half]) if len(values) % 2 else float((ordered[half - 1] + ordered[half]) / 2)


def quantile(values: Floats, share: float) -> float:
    """The quantile of the values at `share` (0 to 1), as `np.quantile`."""
    return _at(np.sort(values), share)


def between(values: Floats, low: float, high: float) -> float:
    """The difference of two quantiles of the values, from one sorting."""
    ordered = np.sort(values)
    return _at(ordered, high) - _at(ordered, low)


def _at(ordered: Floats, share: float) -> float:
    place = share * (len(ordered) - 1)
    at = int(place)
    low, high, part = float(ordered[at]), float(ordered[min(at + 1, len(ordered) - 1)]), place - at
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)
