"""Detects looks with repeated samples: a receiver whose buffer stopped filling returns old samples."""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.frontend import Iq, flat_samples

STRIDE: Final = 16
LEAST: Final = 64
"""Least number of samples compared; noise of two values repeats that many once in 10^19 looks."""
KEPT: Final = 8
"""Number of looks remembered: as many as a driver has buffers in a ring."""


class Repetition:
    """Remembers some samples of the last looks and detects a look that repeats one of them exactly."""

    def __init__(self) -> None:
        self._kept: deque[NDArray[np.generic]] = deque(maxlen=KEPT)

    def again(self, iq: Iq) -> bool:
        """Add a look; returns whether it repeats one of the last `KEPT`.

        False for a look shorter than LEAST * STRIDE, and for one that repeats within itself: that is a signal without
        noise, and no old buffer.
        Args: iq int16 (n, 2) or complex64 (n,), left as it is.
        """
        if len(iq) < LEAST * STRIDE:
            return False
        some = np.array(iq[::STRIDE])
        again = any(some.shape == one.shape and np.array_equal(some, one) for one in self._kept)
        self._kept.append(some)
        return again and not _periodic(iq)


def _periodic(iq: Iq) -> bool:
    """Whether the first samples of a look repeat within it."""
    pairs = flat_samples(iq).reshape(-1, 2)
    starts = np.flatnonzero((pairs[1 : 1 - LEAST] == pairs[0]).all(axis=1)) + 1
    return any(np.array_equal(pairs[at : at + LEAST], pairs[:LEAST]) for at in starts)
