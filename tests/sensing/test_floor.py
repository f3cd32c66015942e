"""The noise floor that a survey reports: right, and inside its own interval, with and without other users."""

import numpy as np
import pytest

from agent.bench.floortrial import floor_errors


@pytest.mark.feature("E2")
@pytest.mark.parametrize("used", [0, 1, 2])
def test_the_reported_floor_is_within_half_a_decibel_and_its_interval_covers(used: int) -> None:
    found = floor_errors(np.random.default_rng(used), seconds=0.1, files=12, used=used)
    errors = np.array([error for error, _ in found])
    assert all(abs(error) <= 1.96 * sd for error, sd in found)
    assert np.abs(errors).max() < 0.5
    assert abs(errors.mean()) < 0.15
