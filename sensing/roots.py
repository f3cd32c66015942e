"""Finds the zero of a continuous function of one variable; `scipy.optimize` would take 22 MB in every node."""

from collections.abc import Callable
from math import isnan
from sys import float_info

STEPS_MAX = 200


def crossing(f: Callable[[float], float], low: float, high: float, *, xtol: float) -> float:
    """The zero of `f` between `low` and `high`, within `xtol`.

    Inverse quadratic steps where three points allow one, else halving. Source: Chandrupatla, "A new hybrid
    quadratic/bisection algorithm for finding the zero of a nonlinear function without using derivatives" (1997).
    Raises ValueError where `f` has one sign at both ends, or is no number.
    """
    a, b = high, low
    fa, fb = f(a), f(b)
    if fa == 0 or fb == 0:
        return a if fa == 0 else b
    if not fa * fb < 0:
        raise ValueError(f"no crossing between {low:g} and {high:g}: {fb:g} and {fa:g}")
    share = 0.5
    for _ in range(STEPS_MAX):
        at = a + share * (b - a)
        found = f(at)
        if isnan(found):
            raise ValueError(f"no number at {at:g}")
        if (found > 0) == (fa > 0):
            c, fc = a, fa
        else:
            c, fc, b, fb = b, fb, a, fa
        a, fa = at, found
        best, least = (a, fa) if abs(fa) < abs(fb) else (b, fb)
        near = (2 * float_info.epsilon * abs(best) + xtol / 2) / abs(b - c if b != c else 1.0)
        if least == 0 or near > 0.5 or abs(b - a) <= xtol:
            return best
        share = _share((a, fa), (b, fb), (c, fc))
        share = min(max(share, near), 1 - near)
    return best


def _share(newest: tuple[float, float], across: tuple[float, float], before: tuple[float, float]) -> float:
    """The next step as a share of the way from the newest point to the one across zero; points are place and value."""
    (a, fa), (b, fb), (c, fc) = newest, across, before
    place, value = (a - b) / (c - b), (fa - fb) / (fc - fb)
    if not (value * value < place and (1 - value) ** 2 < 1 - place):
        return 0.5
    return fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
