"""How much of the time a channel is in use, with an interval that knows neighbouring looks are alike.

Source: ITU-R SM.2256 and SM.1880 (FCO, FBO, SRO); Wilson interval on an effective number of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from sensing.values import Interval

RUN_BIAS: Final = 0.95
"""Taken off the count of runs: the ending rate of runs is estimated too high from few of them (R-1 over N-1)."""
UNKNOWN_CORRELATION: Final = 0.9
"""Assumed where one of the two states was seen at most once, which tells nothing of how long it lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRates:
    """False-alarm and detection probability of the detector that made the decisions, with standard uncertainties."""

    pfa: float = 0.0
    pd: float = 1.0
    pfa_sd: float = 0.0
    pd_sd: float = 0.0


PERFECT: Final = DetectorRates()


def wilson(*, successes: float, trials: float, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion; one-sided at none and at all.

    Args: successes and trials may be fractional, as an effective sample size is.
    """
    if trials <= 0:
        return Interval(value=0.0, low=0.0, high=1.0, level=level)
    p = successes / trials
    z = float(stats.norm.isf((1 - level) if p in (0.0, 1.0) else (1 - level) / 2))
    scale = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if p == 0.0 else max(0.0, centre - half)
    high = 1.0 if p == 1.0 else min(1.0, centre + half)
    return Interval(value=p, low=low, high=high, level=level)


def lag_one(busy: NDArray[np.bool_]) -> float:
    """Correlation of a decision with the next one, between 0 and 1, nearly unbiased for rare states too.

    It is 1 - a - b with a and b the rates at which the two states end.
    """
    now, following = busy[:-1], busy[1:]
    idle_left, busy_left = int(np.count_nonzero(~now)), int(np.count_nonzero(now))
    if min(np.count_nonzero(busy), np.count_nonzero(~busy)) <= 1 or not idle_left or not busy_left:
        return UNKNOWN_CORRELATION
    start = max(int(np.count_nonzero(~now & following)) - RUN_BIAS, 0) / max(idle_left - RUN_BIAS, 1e-9)
    stop = max(int(np.count_nonzero(now & ~following)) - RUN_BIAS, 0) / max(busy_left - RUN_BIAS, 1e-9)
    return min(max(1 - start - stop, 0.0), 1 - 2 / len(busy))


def effective_samples(busy: NDArray[np.bool_], times_s: NDArray[np.float64] | None = None) -> float:
    """How many independent samples a row of decisions is worth.

    Args: times_s, ascending, when the decisions were not made at equal steps; correlation then fades exponentially
        with time, at the rate that explains the correlation of consecutive decisions.
    """
    n = len(busy)
    lam = lag_one(busy)
    if times_s is None or n < 3 or lam <= 0.0:
        return max(1.0, n * (1 - lam) / (1 + lam))
    gaps = np.diff(times_s)
    kept = np.exp(-gaps * _fade_rate(gaps, lam))
    total, carried = float(n), 0.0
    for keep in kept.tolist():
        carried = keep * (1 + carried)
        total += 2 * carried
    return max(1.0, n * n / total)


def _fade_rate(gaps_s: NDArray[np.float64], lam: float) -> float:
    """The rate r at which the mean of exp(-r gap) is `lam`."""
    shortest, longest = max(float(gaps_s.min()), 1e-12), float(gaps_s.max())
    low, high = 0.5 * -np.log(lam) / longest, 2 * -np.log(lam) / shortest
    return float(brentq(lambda rate: float(np.exp(-gaps_s * rate).mean()) - lam, low, high, xtol=1e-9 * high))


def channel_occupancy(
    busy: NDArray[np.bool_],
    *,
    times_s: NDArray[np.float64] | None = None,
    rates: DetectorRates = PERFECT,
    level: float = 0.95,
) -> Interval:
    """Frequency channel occupancy (FCO): share of the time in which a channel was in use.

    Args: busy shape (n,), one decision per sample in time order; times_s when they are not at equal steps.
    """
    n = len(busy)
    if n == 0:
        return Interval(value=0.0, low=0.0, high=1.0, level=level)
    n_eff = effective_samples(busy, times_s)
    seen = wilson(successes=float(busy.mean()) * n_eff, trials=n_eff, level=level)
    return correct_for_detector(seen, rates)


def correct_for_detector(seen: Interval, rates: DetectorRates) -> Interval:
    """Occupancy behind the share of positive decisions: psi = (p - pfa) / (pd - pfa), kept within [0, 1].

    The uncertainties of the rates add in quadrature: (1-psi)^2 Var pfa + psi^2 Var pd.
    """
    span = rates.pd - rates.pfa
    psi = _unit((seen.value - rates.pfa) / span)
    z = float(stats.norm.isf((1 - seen.level) / 2))
    extra = z * z * ((1 - psi) ** 2 * rates.pfa_sd**2 + psi**2 * rates.pd_sd**2)
    down = sqrt((seen.value - seen.low) ** 2 + extra) / span
    up = sqrt((seen.high - seen.value) ** 2 + extra) / span
    raw = (seen.value - rates.pfa) / span
    return Interval(value=psi, low=_unit(raw - down), high=_unit(raw + up), level=seen.level)


def band_occupancy(busy: NDArray[np.bool_]) -> float:
    """Frequency band occupancy (FBO): share of the cells of a band that were in use; busy shape (times, bins)."""
    return float(busy.mean()) if busy.size else 0.0


def spectrum_resource_occupancy(channels: Sequence[Interval]) -> Interval:
    """Spectrum resource occupancy (SRO): mean of the channels' FCO; channels may be in use together, so bounds add."""
    count = max(1, len(channels))
    return Interval(
        value=sum(c.value for c in channels) / count,
        low=sum(c.low for c in channels) / count,
        high=sum(c.high for c in channels) / count,
    )


def revisit_ok(*, revisit_s: float, shortest_s: float) -> bool:
    """Whether a channel is looked at often enough: at least twice in its shortest on or off time (SM.1880)."""
    return revisit_s <= shortest_s / 2


def outage_widened(seen: Interval, *, unseen_share: float) -> Interval:
    """The interval when part of the time was not seen at all and may have been anything."""
    share = _unit(unseen_share)
    return Interval(
        value=seen.value, low=seen.low * (1 - share), high=seen.high * (1 - share) + share, level=seen.level
    )


def aged(seen: Interval, *, age_s: float, half_life_s: float) -> Interval:
    """The interval some time later: it opens towards [0, 1] as what was seen fades."""
    kept = exp(-0.6931471806 * max(0.0, age_s) / half_life_s)
    return Interval(value=seen.value, low=seen.low * kept, high=1 - (1 - seen.high) * kept, level=seen.level)


def _unit(x: float) -> float:
    return min(1.0, max(0.0, x))
