"""A node whose floor is learnt on for weeks asks for new thresholds all the time: what is kept of them is bounded."""

import numpy as np
import pytest

from sensing.detectors import channel

pytestmark = pytest.mark.feature("E1")
KEPT = (channel._threshold, channel._rounded_threshold, channel._four_digits)


def test_thresholds_of_ever_new_floors_do_not_pile_up() -> None:
    shapes = np.linspace(20.0, 2000.0, 4000)
    for pfa in (1e-3, 5e-4):
        channel.group_limits(shapes, shapes * 7, pfa=pfa)
    for shape in shapes:  # by floors of ever other lengths
        channel._four_digits(float(shape))
    held = [one.cache_info().currsize for one in KEPT]
    assert all(0 < one <= 1024 for one in held), held


def test_a_threshold_that_was_dropped_comes_out_the_same() -> None:
    shape, reference = np.array([480.3]), np.array([9000.0])
    before = channel.group_limits(shape, reference, pfa=1e-3)
    channel.group_limits(np.linspace(3.0, 90.0, 3000), np.full(3000, 50.0), pfa=1e-3)
    assert channel.group_limits(shape, reference, pfa=1e-3) == before
