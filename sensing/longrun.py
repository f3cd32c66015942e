"""Occupancy in the long run."""

import numpy as np
from numpy.typing import NDArray

from sensing.occupancy import channel_occupancy
from sensing.values import Interval


def long_run_occupancy(
    busy: NDArray[np.bool_], *, step_s: float, times_s: NDArray[np.float64] | None = None
) -> Interval:
    """Share of the time in use in the long run."""
    del step_s
    return channel_occupancy(busy, times_s=times_s)
