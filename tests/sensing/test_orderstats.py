"""Medians and quantiles by sorting are those of NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensing.orderstats import between, middle, quantile

pytestmark = pytest.mark.feature("E1")
VALUES = st.lists(st.floats(-300, 300), min_size=1, max_size=60).map(np.array)


@given(values=VALUES, share=st.floats(0, 1))
def test_they_are_as_numpy_has_them(values: np.ndarray, share: float) -> None:
    assert middle(values) == np.median(values)
    assert quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-12, abs=1e-12)


@given(values=VALUES)
def test_what_lies_between_two_is_their_difference(values: np.ndarray) -> None:
    assert between(values, 0.05, 0.95) == quantile(values, 0.95) - quantile(values, 0.05)
    assert between(values, 0.0, 1.0) == np.ptp(values)
