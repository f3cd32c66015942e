"""How much of the time a channel is in use, with an interval that knows neighbouring looks are alike.

Source: ITU-R SM.2256 and SM.1880 (FCO, FBO, SRO); Wilson interval on an effective number of samples.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sensing.values import Interval


def wilson(*, successes: float, trials: float, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion; one-sided at none and at all.

    Args: successes and trials may be fractional, as an effective sample size is.
    """
    if trials <= 0:
        return Interval(value=0.0, low=0.0, high=1.0, level=level)
    p = successes / trials
    edge = p in (0.0, 1.0)
    z = float(stats.norm.isf((1 - level) if edge else (1 - level) / 2))
    scale = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if p == 0.0 else max(0.0, centre - half)
    high = 1.0 if p == 1.0 else min(1.0, centre + half)
    return Interval(value=p, low=low, high=high, level=level)


def lag_one(busy: NDArray[np.bool_]) -> float:
    """Lag-1 autocorrelation of a row of decisions, 0 where it cannot be told; between 0 and 1."""
    x = busy.astype(np.float64)
    spread = float(x.var())
    if len(x) < 3 or spread == 0.0:
        return 0.0
    x -= x.mean()
    return min(max(float(x[1:] @ x[:-1]) / (len(x) - 1) / spread, 0.0), 1.0)


def channel_occupancy(busy: NDArray[np.bool_], *, pfa: float = 0.0, pd: float = 1.0, level: float = 0.95) -> Interval:
    """Frequency channel occupancy (FCO): share of the samples in which a channel was in use.

    Args: busy shape (n,), one decision per sample in time order; pfa and pd of the detector that made them.
    """
    n = len(busy)
    if n == 0:
        return Interval(value=0.0, low=0.0, high=1.0, level=level)
    lam = lag_one(busy)
    n_eff = max(1.0, n * (1 - lam) / (1 + lam))
    seen = wilson(successes=float(busy.mean()) * n_eff, trials=n_eff, level=level)
    return correct_for_detector(seen, pfa=pfa, pd=pd)


def correct_for_detector(seen: Interval, *, pfa: float, pd: float) -> Interval:
    """Occupancy behind the share of positive decisions: psi = (p - pfa) / (pd - pfa), kept within [0, 1]."""

    def psi(p: float) -> float:
        return min(1.0, max(0.0, (p - pfa) / (pd - pfa)))

    return Interval(value=psi(seen.value), low=psi(seen.low), high=psi(seen.high), level=seen.level)
