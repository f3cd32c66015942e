"""Finds stretches of samples without information: zeros, a constant value, NaN."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sensing.frontend import Iq, flat_samples

RUN_LEAST: Final = 32
"""Least length of a run of equal samples: noise of half a step makes one in 10^12 samples."""
STRIDE: Final = 8
QUIET_SHARE: Final = 0.25
"""Level, as a share of full scale, above which a run is a limiter's, not silence, unless it is long."""
LONG_RUN: Final = 1024
"""Length from which a run at full scale is no limiter's: zero bytes stand for the lowest value in some formats."""

Spans: TypeAlias = list[tuple[int, int]]
"""Spans of sample numbers, end not included."""


def silent_spans(iq: Iq, *, full_scale: float) -> Spans:
    """Runs of at least `RUN_LEAST` samples that are all the same, weak or long; shape of iq as in `flat_samples`."""
    if len(iq) < RUN_LEAST:
        return []
    pairs = flat_samples(iq)
    words = pairs.view(np.int32 if pairs.dtype == np.int16 else np.int64)
    near = words[STRIDE::STRIDE] == words[:-STRIDE:STRIDE]
    # Every run of RUN_LEAST contains four of these samples, and so three pairs of equal ones.
    if not (near[:-2] & near[1:-1] & near[2:]).any():
        return []
    same = words[1:] == words[:-1]
    rails = pairs.reshape(-1, 2)
    return [
        (first, last + 1)
        for first, last in runs(same, least=RUN_LEAST - 1)
        if last - first >= LONG_RUN or float(np.abs(rails[first].astype(np.float64)).max()) < QUIET_SHARE * full_scale
    ]


def bad_spans(iq: Iq) -> Spans:
    """Runs of samples that are NaN or infinite."""
    if iq.dtype != np.complex64 or np.isfinite(iq.sum()):
        return []
    return runs(~np.isfinite(iq))


def silent_blocks(spans: Spans, *, blocks: int, block: int, held: int) -> NDArray[np.bool_]:
    """Which blocks completed by a look contain samples of `spans`; the first began `held` samples before the look."""
    mask = np.zeros(blocks, np.bool_)
    for first, last in spans:
        mask[max(0, (first + held) // block) : max(0, -(-(last + held) // block))] = True
    return mask


def runs(where: NDArray[np.bool_], *, least: int = 1) -> Spans:
    """Runs of True of at least `least` elements, as spans."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], where, [False])).astype(np.int8)))
    pairs = edges.reshape(-1, 2)
    edges = pairs[pairs[:, 1] - pairs[:, 0] >= least]
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist()]
