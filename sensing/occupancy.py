"""Channel occupancy with an interval that accounts for the correlation of neighbouring decisions.

Busy and idle alternate as a two-state Markov chain: the occupancy is a / (a + b) with a and b the rates at which idle
and busy end. Each rate has a beta posterior under a prior of about half a run, and the interval holds the middle of the
posterior of their quotient. For independent samples it is that of Jeffreys, for long runs that of a ratio of two gamma
variables, so few long runs give a wide interval and many short ones a narrow one.

Source: ITU-R SM.2256 and SM.1880 (FCO, FBO, SRO). Priors and tails were chosen by counted coverage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.kernels import summed_correlation
from sensing.probability import normal_isf
from sensing.roots import crossing
from sensing.specials import betainc, betaincinv
from sensing.values import Interval

UNKNOWN_CORRELATION: Final = 0.9
"""Correlation assumed where only one of the two states was seen, so that the other's duration is unknown."""
STARTS_PRIOR: Final = 0.75
STOPS_PRIOR: Final = 0.5
LOWER_TAIL_SHARE: Final = 0.7
"""Share of the allowed error on the harmless side: that more of the channel is free than the interval says."""
POSTERIOR_POINTS: Final = 64
LOG_ODDS_FURTHEST: Final = 23.0
GAP_PARTS: Final = 64
"""Gaps between decisions that differ by less than this part of the shortest are grouped: survey looks repeat."""
GAP_CELLS_MAX: Final = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRates:
    """False-alarm and detection probability of the detector that made the decisions, with standard uncertainties."""

    pfa: float = 0.0
    pd: float = 1.0
    pfa_sd: float = 0.0
    pd_sd: float = 0.0


PERFECT: Final = DetectorRates()


def wilson(*, successes: float, trials: float, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion; one-sided for 0 and for all successes.

    Args: successes and trials may be fractional, as an effective sample size is.
    """
    if trials <= 0:
        return Interval(value=0.0, low=0.0, high=1.0, level=level)
    p = successes / trials
    z = normal_isf((1 - level) if p in (0.0, 1.0) else (1 - level) / 2)
    scale = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if p == 0.0 else max(0.0, centre - half)
    high = 1.0 if p == 1.0 else min(1.0, centre + half)
    return Interval(value=p, low=low, high=high, level=level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Counts of samples followed by another, by state, and of the changes of state there."""

    idle: float
    busy: float
    starts: float
    stops: float

    @property
    def correlation(self) -> float:
        """Correlation of a decision with the next one, from 0 to just below 1: 1 - a - b."""
        raw = 1 - self.starts / max(self.idle, 1.0) - self.stops / max(self.busy, 1.0)
        return min(max(raw, 0.0), 1 - 2 / (self.idle + self.busy + 1))


def count_runs(busy: NDArray[np.bool_]) -> Runs:
    """Count the changes of state in a row of decisions, shape (n,)."""
    now, following = busy[:-1], busy[1:]
    lit = int(np.count_nonzero(now))
    return Runs(
        idle=len(now) - lit,
        busy=lit,
        starts=int(np.count_nonzero(~now & following)),
        stops=int(np.count_nonzero(now & ~following)),
    )


def lag_one(busy: NDArray[np.bool_]) -> float:
    """Correlation of a decision with the next one, from 0 to 1; UNKNOWN_CORRELATION where all decisions are alike."""
    if busy.all() or not busy.any():
        return UNKNOWN_CORRELATION
    return count_runs(busy).correlation


class SampleGaps:
    """Gaps between decisions in time order, s; computed once for all channels of the same looks.

    `alike` are means of gaps that differ by less than 1 / `GAP_PARTS` of the shortest, `share` the share of each.
    """

    __slots__ = ("alike", "gaps_s", "longest_s", "share", "shortest_s")

    def __init__(self, times_s: NDArray[np.float64]) -> None:
        """Args: times_s, ascending, two at least."""
        self.gaps_s = np.diff(times_s)
        self.shortest_s, self.longest_s = max(float(self.gaps_s.min()), 1e-12), float(self.gaps_s.max())
        self.alike, self.share = _alike(self.gaps_s, self.shortest_s / GAP_PARTS, self.longest_s)

    def fade_rate(self, lam: float) -> float:
        """The rate r at which the mean of exp(-r gap) is `lam`, in 1/s."""
        low, high = 0.5 * -np.log(lam) / self.longest_s, 2 * -np.log(lam) / self.shortest_s
        alike, share = self.alike, self.share
        return float(crossing(lambda rate: float(np.exp(-alike * rate) @ share) - lam, low, high, xtol=1e-9 * high))


def effective_samples(busy: NDArray[np.bool_], when: NDArray[np.float64] | SampleGaps | None = None) -> float:
    """The effective number of independent samples in a series of decisions.

    Args: when, ascending times in seconds or the gaps between them, when the decisions were not made at equal steps;
        correlation then fades exponentially with time, at the rate that explains that of consecutive decisions.
    """
    n = len(busy)
    lam = lag_one(busy)
    if when is None or n < 3 or lam <= 0.0:
        return max(1.0, n * (1 - lam) / (1 + lam))
    gaps = when if isinstance(when, SampleGaps) else SampleGaps(when)
    return max(1.0, n * n / (n + 2 * summed_correlation(np.exp(-gaps.gaps_s * gaps.fade_rate(lam)))))


def _alike(
    gaps_s: NDArray[np.float64], step_s: float, longest_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of gaps that differ by less than `step_s`, and the share of each; all gaps where grouping saves nothing."""
    if len(gaps_s) < GAP_PARTS or longest_s / step_s > GAP_CELLS_MAX:
        return gaps_s, np.full(len(gaps_s), 1 / len(gaps_s))
    cells = (gaps_s / step_s).astype(np.intp)
    counts = np.bincount(cells)
    some = np.flatnonzero(counts)
    return np.bincount(cells, gaps_s)[some] / counts[some], counts[some] / len(gaps_s)


def channel_occupancy(
    busy: NDArray[np.bool_],
    *,
    times_s: NDArray[np.float64] | SampleGaps | None = None,
    rates: DetectorRates = PERFECT,
    level: float = 0.95,
) -> Interval:
    """Frequency channel occupancy (FCO): share of the time in which a channel was in use.

    Args: busy shape (n,), one decision per sample in time order; times_s, or the gaps between them, when they are not
        at equal steps.
    """
    n = len(busy)
    if n == 0:
        return Interval(value=0.0, low=0.0, high=1.0, level=level)
    share = float(busy.mean())
    if share in {0.0, 1.0}:
        n_eff = effective_samples(busy, times_s)
        seen = wilson(successes=share * n_eff, trials=n_eff, level=level)
    else:
        low, high = _share_bounds(_independent_runs(busy, times_s), level)
        seen = Interval(value=share, low=min(low, share), high=max(high, share), level=level)
    return correct_for_detector(seen, rates)


def _independent_runs(busy: NDArray[np.bool_], times_s: NDArray[np.float64] | SampleGaps | None) -> Runs:
    """The runs at equal steps; no more of them than independent samples would have."""
    n, runs, share = len(busy), count_runs(busy), float(busy.mean())
    lam = runs.correlation
    if lam <= 0.0:
        changes = (n - 1) * share * (1 - share)
        return Runs(idle=(n - 1) * (1 - share), busy=(n - 1) * share, starts=changes, stops=changes)
    if times_s is None:
        return runs
    n_eff = effective_samples(busy, times_s)
    fewer = min(2 * n_eff / (n + n_eff) / (1 - lam), runs.idle / max(runs.starts, 1), runs.busy / max(runs.stops, 1))
    return Runs(idle=runs.idle, busy=runs.busy, starts=runs.starts * fewer, stops=runs.stops * fewer)


def _share_bounds(runs: Runs, level: float) -> tuple[float, float]:
    """Quantiles of a / (a + b): b at equally likely points of its posterior, a by its distribution function."""
    starts, idle = runs.starts + STARTS_PRIOR, runs.idle - runs.starts + STARTS_PRIOR
    stops, busy = runs.stops + STOPS_PRIOR, runs.busy - runs.stops + STOPS_PRIOR
    b = betaincinv(stops, busy, (np.arange(POSTERIOR_POINTS) + 0.5) / POSTERIOR_POINTS)

    def bound(tail: float) -> float:
        def below(log_odds: float) -> float:
            return float(betainc(starts, idle, np.minimum(1.0, exp(log_odds) * b)).mean()) - tail

        odds = exp(crossing(below, -LOG_ODDS_FURTHEST, LOG_ODDS_FURTHEST, xtol=1e-4))
        return odds / (1 + odds)

    error = 1 - level
    return bound(LOWER_TAIL_SHARE * error), bound(1 - (1 - LOWER_TAIL_SHARE) * error)


def correct_for_detector(seen: Interval, rates: DetectorRates) -> Interval:
    """Occupancy corrected for the detector's error rates: psi = (p - pfa) / (pd - pfa), kept within [0, 1].

    The uncertainties of the rates add in quadrature: (1-psi)^2 Var pfa + psi^2 Var pd.
    """
    span = rates.pd - rates.pfa
    psi = _unit((seen.value - rates.pfa) / span)
    z = normal_isf((1 - seen.level) / 2)
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
    """Whether a channel is revisited often enough: at least twice in its shortest on or off time (SM.1880)."""
    return revisit_s <= shortest_s / 2


def outage_widened(seen: Interval, *, unseen_share: float) -> Interval:
    """The interval where a share of the time was not seen and may have been busy or idle."""
    share = _unit(unseen_share)
    return Interval(
        value=seen.value, low=seen.low * (1 - share), high=seen.high * (1 - share) + share, level=seen.level
    )


def aged(seen: Interval, *, age_s: float, half_life_s: float) -> Interval:
    """The interval some time later: it widens towards [0, 1] with age."""
    kept = exp(-0.6931471806 * max(0.0, age_s) / half_life_s)
    return Interval(value=seen.value, low=seen.low * kept, high=1 - (1 - seen.high) * kept, level=seen.level)


def _unit(x: float) -> float:
    return min(1.0, max(0.0, x))
