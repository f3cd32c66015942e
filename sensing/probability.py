"""The probability distributions that sensing uses, from `scipy.special`.

`scipy.stats` has them all, and takes half a second and 36 MiB to import, in every process of every node.
"""

from sensing.specials import betainc, fdtrc, ndtri


def normal_isf(q: float) -> float:
    """The value that a standard normal variable exceeds with probability q."""
    return float(-ndtri(q))


def f_sf(x: float, numerator: float, denominator: float) -> float:
    """Probability that an F variable with these degrees of freedom exceeds x."""
    return float(fdtrc(numerator, denominator, x))


def binomial_sf(k: int, n: int, p: float) -> float:
    """Probability of more than k successes in n trials."""
    if k < 0:
        return 1.0
    return 0.0 if k >= n else float(betainc(k + 1, n - k, p))
