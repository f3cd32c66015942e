"""Combines several nodes' reports of one quantity into one, robust against a lying minority.

A report counts by the authority behind it, by how reliable its way of measuring is, and by how well it agrees with the
others. A node that claims to be more precise than the typical one gets no more weight for that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.probability import normal_isf
from sensing.values import Interval

SHARE_MAX: Final = 0.34
"""Largest share of the weight for one node, however high its authority, where there are three or more."""
AGREES: Final = 2.0
DISAGREES: Final = 4.0
"""Range, in standard uncertainties from the median, over which a report's weight falls to zero."""
SPREAD_MAX: Final = 1.0
"""Spread of honest nodes, in typical standard uncertainties, up to which their weights do not fall."""
DECIDING_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node's value with its interval; `authority` and `reliability` are weights in (0, 1]."""

    node: str
    value: Interval
    authority: float = 1.0
    reliability: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """The combined value, each node's share of the weight (sum 1), and whether enough nodes agreed."""

    value: Interval
    weights: dict[str, float]
    decided: bool


class NothingToFuse(ValueError):
    """No report has a weight above 0."""


def fuse(reports: Sequence[NodeReport], *, level: float = 0.95) -> Fused:
    """Fuse reports of one quantity.

    Where less than half of the weight agrees the result spans every report and is marked undecided. A report that is no
    interval, or claims a level of 0 or 1, carries no weight.

    Raises: NothingToFuse.
    """
    reports = [report for report in reports if _means_something(report.value)]
    trust = np.array([max(0.0, r.authority * r.reliability) for r in reports])
    if not reports or trust.sum() <= 0.0:
        raise NothingToFuse("no report carries any weight: there is nothing to fuse")
    values = np.array([r.value.value for r in reports])
    shares = _capped(trust / trust.sum())
    claimed = np.array([_sd(r.value) for r in reports])
    typical = float(np.median(claimed))
    sd = np.maximum(claimed, typical)
    weights = shares * _agreement(values, typical, shares)
    if weights.sum() < DECIDING_SHARE:
        return _undecided(reports, shares, level)
    weights = weights * (typical / sd) ** 2
    weights /= weights.sum()
    fused = float(weights @ values)
    own = float(np.sqrt((weights**2) @ (sd**2)))
    spread = float(np.sqrt(weights @ (values - fused) ** 2 * (weights @ weights)))
    half = _coverage(weights, level) * float(np.hypot(own, spread))
    interval = Interval(value=fused, low=fused - half, high=fused + half, level=level)
    return Fused(value=interval, weights=_named(reports, weights), decided=True)


def _means_something(value: Interval) -> bool:
    """Whether an interval is finite, contains its value, and has a level between 0 and 1."""
    finite = all(math.isfinite(v) for v in (value.value, value.low, value.high))
    return finite and 0.0 < value.level < 1.0 and value.low <= value.value <= value.high


def _sd(value: Interval) -> float:
    z = normal_isf((1 - value.level) / 2)
    return max(value.high - value.low, 1e-9) / (2 * z)


def _capped(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Limit each share to the cap, as far as the number of shares allows."""
    cap = max(SHARE_MAX, 1 / len(shares))
    for _ in range(len(shares)):
        over = shares > cap
        if not over.any() or over.all():
            break
        free = 1 - cap * np.count_nonzero(over)
        rest = float(shares[~over].sum())
        shares = np.where(over, cap, shares * (free / rest if rest > 0 else 0.0))
    total = float(shares.sum())
    return np.asarray(shares / total, np.float64)


def _agreement(values: NDArray[np.float64], sd: float, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Agreement of each report: 1 near the weighted median, falling to 0 far from it, by a typical node's claim."""
    middle = _weighted_median(values, shares)
    deviation = np.abs(values - middle)
    spread = 1.4826 * _weighted_median(deviation, shares)
    scale = float(np.hypot(sd, min(spread, SPREAD_MAX * sd)))
    return np.asarray(np.clip((DISAGREES - deviation / scale) / (DISAGREES - AGREES), 0.0, 1.0), np.float64)


def _weighted_median(values: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    before = np.cumsum(shares[order]) - shares[order] / 2
    return float(np.interp(0.5 * shares.sum(), before, values[order]))


def _coverage(weights: NDArray[np.float64], level: float) -> float:
    """Student factor for the effective number of nodes."""
    nodes = 1 / float(weights @ weights)
    return normal_isf((1 - level) / 2) * (1 + 1 / (2 * nodes))


def _undecided(reports: Sequence[NodeReport], shares: NDArray[np.float64], level: float) -> Fused:
    middle = _weighted_median(np.array([r.value.value for r in reports]), shares)
    low, high = min(r.value.low for r in reports), max(r.value.high for r in reports)
    return Fused(
        value=Interval(value=middle, low=low, high=high, level=level), weights=_named(reports, shares), decided=False
    )


def _named(reports: Sequence[NodeReport], weights: NDArray[np.float64]) -> dict[str, float]:
    return {r.node: float(w) for r, w in zip(reports, weights, strict=True)}
