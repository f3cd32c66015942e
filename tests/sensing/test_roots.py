"""A crossing is where scipy's Brent method finds it."""

from collections.abc import Callable
from math import atan, cos, exp, nan

import pytest
from scipy.optimize import brentq

from sensing.roots import crossing

pytestmark = pytest.mark.feature("E1")


@pytest.mark.parametrize(
    ("f", "low", "high"),
    [
        (lambda x: cos(x) - x, 0, 1),
        (lambda x: x**3 - 2, 0, 5),
        (lambda x: 2 - x**3, 0, 5),
        (lambda x: exp(-x) - 1e-6, 0, 100),
        (lambda x: 1e-3 - 1 / (1 + x) ** 7, 1e-9, 1e9),
        (lambda x: atan(x - 3), -50, 1000),
        (lambda x: x, 0, 4),
        (lambda x: 1.0 if x > 0.3 else -1.0, -1, 1),
    ],
)
def test_a_crossing_is_found_as_brent_finds_it(f: Callable[[float], float], low: float, high: float) -> None:
    asked = 0

    def counted(x: float) -> float:
        nonlocal asked
        asked += 1
        return f(x)

    assert crossing(counted, low, high, xtol=1e-9) == pytest.approx(brentq(f, low, high, xtol=1e-9), abs=2e-9)
    assert asked < 100


@pytest.mark.parametrize("f", [lambda x: x + 9, lambda _: nan])
def test_no_crossing_is_no_number(f: Callable[[float], float]) -> None:
    with pytest.raises(ValueError, match="no crossing"):
        crossing(f, 0, 1, xtol=1e-9)
