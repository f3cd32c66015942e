"""The use of a channel over time: the level that separates idle from busy, and its period if it has one."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

VALLEY_DB_MAX: Final = 6.0
VALLEY_STEP_DB: Final = 0.5
SECOND_MODE_SHARE: Final = 0.02
PERIOD_CORRELATION: Final = 0.3
PERIOD_SHARE: Final = 0.7
"""Share of the best correlation that a shorter period needs to be preferred to its multiples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A repetition in the level of a channel, with the autocorrelation at it."""

    seconds: float
    correlation: float


def valley_db(level_db: NDArray[np.float64]) -> float:
    """How far above the theoretical threshold to set the cut, dB, so that weak clutter does not count as signal.

    Args: level_db of the blocks, relative to that threshold. Returns: 0 to `VALLEY_DB_MAX`; 0 unless the levels above
        the threshold thin out and then rise to a second mode.
    """
    edges = np.arange(0, VALLEY_DB_MAX + 2 * VALLEY_STEP_DB, VALLEY_STEP_DB)
    above_db = level_db[level_db >= 0]
    counts, _ = np.histogram(above_db, edges)
    beyond = int(np.count_nonzero(above_db >= edges[-1]))
    low = int(counts.argmin())
    above = int(counts[low + 1 :].sum()) + beyond
    thin = counts[low] <= 0.5 * counts[0]
    return float(edges[low] + VALLEY_STEP_DB / 2) if low and thin and above > SECOND_MODE_SHARE * len(level_db) else 0.0


def find_period(level: NDArray[np.float64], *, step_s: float) -> Period | None:
    """The shortest period of a series of levels, or None.

    Args: level shape (n,), one per `step_s`; logarithmic levels weigh weak and strong bursts alike.
    """
    n = len(level)
    if n < 16 or float(level.std()) == 0.0:
        return None
    x = level - level.mean()
    spectrum = np.abs(np.fft.rfft(x, 2 * n)) ** 2
    lags = np.fft.irfft(spectrum)[: n // 2]
    correlation = lags / lags[0] * n / (n - np.arange(n // 2))
    first = _first_dip(correlation)
    if first >= len(correlation) - 2:
        return None
    best = float(correlation[first:].max())
    inner = correlation[1:-1]
    peak = (inner >= correlation[:-2]) & (inner > correlation[2:]) & (inner >= PERIOD_SHARE * best)
    peak[: first - 1] = False
    at = np.flatnonzero(peak)
    if best < max(PERIOD_CORRELATION, 5 / np.sqrt(n)) or len(at) == 0:
        return None
    lag = int(at[0]) + 1
    return Period(seconds=lag * step_s, correlation=float(correlation[lag]))


def _first_dip(correlation: NDArray[np.float64]) -> int:
    """First lag at which the series no longer resembles itself, which ends the peak at lag zero."""
    below = np.flatnonzero(correlation < 0.1)
    return max(1, int(below[0])) if len(below) else len(correlation)
