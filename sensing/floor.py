"""The idle level of a set of cells and how well it is known.

Every estimator takes powers that are gamma variables of known shape where the band is idle, and finds the scale of the
idle ones among whatever else is there. Levels over time are `sensing.tracker`'s business.
"""

from dataclasses import dataclass
from math import ceil, hypot, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.probability import binomial_ppf, gamma_pdf
from sensing.specials import gammainc, gammaincinv
from sensing.theory import gamma_quantile, quantile_standard_error_db, truncated_mean

DB_PER_NEPER: Final = 4.342944819
START_SHARE: Final = 0.1
CUT_PFA: Final = 1e-2
ITERATIONS_MAX: Final = 60
SHAPE_MIN: Final = 16.0
"""With fewer averages than this, weak signals and noise overlap; neighbours are pooled until they reach it."""


class TooFewBins(ValueError):
    """There are not enough cells to tell an idle level from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Idle power in the unit of the input, its standard error in dB and the number of cells it rests on."""

    power: float
    se_db: float
    cells: int


def noise_floor(psd: NDArray[np.floating], *, averages: float) -> Floor:
    """Idle level of a band from its power spectrum, with up to four fifths of it occupied.

    Args: psd shape (n_bins,), linear, any scale; averages is how many independent periodograms each bin is the mean of.
    Returns: level on the same scale. Raises: TooFewBins under 20 pooled cells.
    """
    pool = max(1, ceil(SHAPE_MIN / averages))
    cells = psd[: len(psd) // pool * pool].reshape(-1, pool).mean(axis=1)
    if len(cells) < 20:
        raise TooFewBins(f"{len(psd)} bins of {averages:g} averages give {len(cells)} cells, 20 are needed")
    return fcme(cells, shape=averages * pool)


def fcme(power: NDArray[np.floating], *, shape: float, pfa: float = CUT_PFA) -> Floor:
    """Idle level by forward consecutive mean excision, corrected for the tail it cuts off.

    Args: power any shape, linear; shape is the number of independent averages in each cell; pfa is the share of idle
        cells cut off.
    Source: Lehtomaki et al., "On the performance of the FCME algorithm"; bias as in the truncated gamma mean.
    """
    cells = np.sort(power, axis=None).astype(np.float64)
    sums = np.cumsum(cells)
    cut = gamma_quantile(shape=shape, q=1 - pfa)
    bias = truncated_mean(shape=shape, threshold=cut)
    count = max(1, int(START_SHARE * len(cells)))
    level = sums[count - 1] / count
    for _ in range(ITERATIONS_MAX):
        grown = max(count, int(np.searchsorted(cells, cut * level, side="right")))
        level = sums[grown - 1] / grown / bias
        if grown == count:
            break
        count = grown
    return Floor(power=float(level), se_db=fcme_standard_error_db(shape=shape, cut=cut, cells=count), cells=count)


def fcme_standard_error_db(*, shape: float, cut: float, cells: int) -> float:
    """Standard error of the level at which the mean of the cells below `cut` times it is what it should be.

    The estimate solves E[(x - m s); x < c s] = 0; its variance follows from the slope of that equation in s.
    """
    below = float(gammainc(shape, shape * cut))
    m = truncated_mean(shape=shape, threshold=cut)
    second = (shape + 1) / shape * float(gammainc(shape + 2, shape * cut))
    spread = second - m * m * below
    slope = m * below - gamma_pdf(cut, shape=shape) * cut * (cut - m)
    return DB_PER_NEPER * sqrt(spread / (cells / below)) / slope


def quantile_floor(power: NDArray[np.floating], *, shape: float, q: float = 0.25) -> Floor:
    """Idle level from one order statistic, for a band of which less than 1 - q is occupied and q is all idle."""
    cells = np.asarray(power, np.float64).ravel()
    level = float(np.quantile(cells, q)) / gamma_quantile(shape=shape, q=q)
    return Floor(power=level, se_db=quantile_standard_error_db(shape=shape, q=q, cells=len(cells)), cells=len(cells))


def rank_interval(power: NDArray[np.floating], *, shape: float, q: float, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of the idle level from the order statistics around the q-quantile, whatever their density."""
    cells = np.sort(power, axis=None)
    low = binomial_ppf((1 - level) / 2, len(cells), q)
    high = binomial_ppf((1 + level) / 2, len(cells), q)
    scale = float(gammaincinv(shape, q)) / shape
    return float(cells[max(0, low - 1)]) / scale, float(cells[min(len(cells) - 1, high)]) / scale


def total_sd_db(
    *, statistical_db: float, excision_db: float, gain_db: float, temperature_db: float, age_db: float
) -> float:
    """Standard uncertainty of a floor: the root of the sum of the squares of its parts."""
    return hypot(statistical_db, excision_db, gain_db, temperature_db, age_db)
