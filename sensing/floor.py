"""The idle level of a band and how well it is known.

Every estimator takes powers that are gamma variables of known shape where the band is idle, and finds the scale of the
idle ones among whatever else is there.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainccinv

from sensing.theory import truncated_mean

START_SHARE: Final = 0.1
ITERATIONS_MAX: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Idle power in the unit of the input, its standard error in dB and the number of cells it rests on."""

    power: float
    se_db: float
    cells: int


def fcme(power: NDArray[np.floating], *, shape: float, pfa: float = 1e-3, uncertainty_db: float = 0.0) -> Floor:
    """Idle level by forward consecutive mean excision, corrected for the tail it cuts off.

    Args: power any shape, linear; shape is the number of independent averages in each cell; pfa is the share of idle
        cells cut off; uncertainty_db widens the cut for cells whose idle levels differ by that much.
    Source: Lehtomaki et al., "On the performance of the FCME algorithm"; bias as in the truncated gamma mean.
    """
    cells = np.sort(power, axis=None).astype(np.float64)
    sums = np.cumsum(cells)
    cut = float(gammainccinv(shape, pfa)) / shape * 10 ** (uncertainty_db / 10)
    bias = truncated_mean(shape=shape, threshold=cut)
    count = max(1, int(START_SHARE * len(cells)))
    level = sums[count - 1] / count
    for _ in range(ITERATIONS_MAX):
        grown = max(count, int(np.searchsorted(cells, cut * level, side="right")))
        level = sums[grown - 1] / grown / bias
        if grown == count:
            break
        count = grown
    return Floor(power=float(level), se_db=4.343 / (count * shape) ** 0.5, cells=count)
