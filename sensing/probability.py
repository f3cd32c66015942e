"""The few distributions that sensing needs, from `scipy.special`.

`scipy.stats` has them all, and takes half a second and 36 MiB to import, in every process of every node.
"""

from math import ceil

import numpy as np

from sensing.specials import bdtrik, betainc, fdtrc, gammaln, ndtri, xlogy


def normal_isf(q: float) -> float:
    """What a standard normal variable exceeds with probability q."""
    return float(-ndtri(q))


def gamma_pdf(x: float, *, shape: float) -> float:
    """Density at x of a gamma variable of mean 1."""
    return float(shape * np.exp(xlogy(shape - 1, x * shape) - x * shape - gammaln(shape)))


def f_sf(x: float, numerator: float, denominator: float) -> float:
    """Probability that an F variable with these degrees of freedom exceeds x."""
    return float(fdtrc(numerator, denominator, x))


def binomial_sf(k: int, n: int, p: float) -> float:
    """Probability of more than k successes in n trials."""
    if k < 0:
        return 1.0
    return 0.0 if k >= n else float(betainc(k + 1, n - k, p))


def binomial_ppf(q: float, n: int, p: float) -> int:
    """The least number of successes in n trials that is not exceeded with probability q or more."""
    found = ceil(float(bdtrik(q, n, p)))
    before = max(found - 1, 0)
    return before if 1 - binomial_sf(before, n, p) >= q else found
