"""Covariance absolute value (CAV): a second opinion that needs no level of noise, only that noise is white."""

from dataclasses import dataclass, field
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sensing.detectors.decision import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class CavDetector:
    """Sum of the magnitudes of the sample covariance over its diagonal, against that of idle samples.

    `lags` is the smoothing factor L. `idle` holds the normalised autocorrelation of the receiver's own noise at lags
    1..L-1, as its filter colours it; without it the noise is taken as white.
    Source: Zeng and Liang, "Spectrum-sensing algorithms for cognitive radio based on statistical covariances".
    """

    pfa: float
    lags: int = 16
    idle: tuple[complex, ...] = field(default=())

    def decide(self, seen: NDArray[np.complexfloating]) -> Decision:
        """One decision for each row of complex samples, shape (..., n); unknown where there are fewer than lags."""
        n = seen.shape[-1]
        if n < self.lags:
            nothing = np.full(seen.shape[:-1], np.nan)
            return Decision(statistic=nothing, threshold=np.zeros_like(nothing), pfa=self.pfa)
        correlation = self._correlation(np.asarray(seen, np.complex128))
        weights = 2 * (1 - np.arange(1, self.lags) / self.lags)
        statistic = np.asarray((np.abs(correlation) * weights).sum(axis=-1), np.float64)
        mean = sqrt(pi / 4 / n) * float(weights.sum())
        variance = (1 - pi / 4) / n * float((weights**2).sum())
        shape = mean**2 / variance
        threshold = float(stats.gamma.isf(self.pfa, shape, scale=variance / mean))
        return Decision(statistic=statistic, threshold=np.full_like(statistic, threshold), pfa=self.pfa)

    def _correlation(self, x: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """What is left of the normalised autocorrelation at lags 1..L-1 once that of idle noise is taken out."""
        n = x.shape[-1]
        power = np.mean(np.abs(x) ** 2, axis=-1)
        usable = np.isfinite(power) & (power > 0)
        x, power = np.where(usable[..., None], x, 0), np.where(usable, power, 1)
        rows = [np.sum(x[..., k:] * np.conj(x[..., : n - k]), axis=-1) / n / power for k in range(1, self.lags)]
        seen = np.where(usable[..., None], np.stack(rows, axis=-1), np.nan)
        return seen - np.array(self.idle[: self.lags - 1]) if self.idle else seen


def idle_correlation(x: NDArray[np.complexfloating], *, lags: int) -> tuple[complex, ...]:
    """Normalised autocorrelation of idle samples, shape (n,), at lags 1..L-1: what `CavDetector.idle` wants."""
    n = len(x)
    power = float(np.mean(np.abs(x) ** 2))
    return tuple(complex(np.sum(x[k:] * np.conj(x[: n - k])) / n / power) for k in range(1, lags))
