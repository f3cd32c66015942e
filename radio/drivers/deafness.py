"""Whether a receiver hears at all: its own noise has to grow when its gain does. Pure.

A powered-down oscillator, a digital loop, a sleeping chip or a dead front end all give samples, small ones, that look
like a quiet band; none of them gets louder with the gain. Source of the test: a receiver's noise is made before its
variable gain, a converter's after it.
"""

from typing import Final

import numpy as np

from radio.ports import Iq16

STEP_DB: Final = 30
"""The difference of the two gains, dB, where the gain table is that wide."""
GROWTH_DB: Final = 4.0
"""A smaller growth of noise between the two gains is none: the samples do not come from the antenna side."""
STILL_LSB: Final = 0.8
"""Standard deviation of both rails together, in codes, up to which the noise may be the converter's own."""
CLIPPED_SHARE: Final = 1e-3


def gains_to_try_db(least: int, most: int) -> tuple[int, int]:
    """The two gains, dB, to compare the receiver's noise at."""
    return max(least, most - STEP_DB), most


def _power(iq: Iq16) -> float:
    """Mean power of the samples without their constant part, in codes squared."""
    rails = iq.astype(np.float64)
    return float(np.sum(np.var(rails, axis=0))) if len(rails) else 0.0


def hears(low: Iq16, high: Iq16, *, full_scale: int, step: float = 1.0) -> bool:
    """Whether samples at a low and at a high gain come from a receiver that hears; clipping counts as hearing.

    `step`: how many codes one step of the converter is, where samples are given on a finer scale than it has.
    """
    if len(low) == 0 or len(high) == 0:
        return False
    clipped = np.mean(np.abs(high.astype(np.int32)).max(axis=1) >= full_scale - 1)
    if clipped > CLIPPED_SHARE:
        return True
    floor = (STILL_LSB * step) ** 2 / 4
    return 10 * float(np.log10((_power(high) + floor) / (_power(low) + floor))) >= GROWTH_DB


def still(iq: Iq16, *, step: float = 1.0) -> bool:
    """Whether a block holds no more than a converter's own noise: a reason to test the receiver now."""
    return _power(iq[:1024]) < (STILL_LSB * step) ** 2
