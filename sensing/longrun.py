"""Occupancy in the long run, of which a stretch is a sample: honest where on and off times have heavy tails.

How long a channel is on, and how long off, is taken to follow a generalised Pareto distribution above its shortest
time: exponential times and Pareto ones are both among them. Each has a posterior on a grid of tail indices and
scales; the occupancy is mean on over mean on and off. Tails whose mean is infinite have no long-run occupancy and are
left out.

Source: ITU-R SM.2256 for the measure; Pickands (1975) for the distribution.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.occupancy import channel_occupancy
from sensing.values import Interval

Floats = NDArray[np.float64]

CYCLES_LEAST: Final = 6
"""With fewer on times there is nothing to tell a tail from; the interval is that of runs without memory, doubled."""
TAILS: Final = np.geomspace(1.02, 60.0, 40)
SCALES: Final = np.geomspace(0.03, 60.0, 70)
"""Grid of scales, as multiples of the mean excess over the shortest time times what the tail makes of it."""
POINTS: Final = 200


def long_run_occupancy(
    busy: NDArray[np.bool_], *, step_s: float, times_s: Floats | None = None, level: float = 0.95
) -> Interval:
    """Share of the time in use in the long run.

    Args: busy shape (n,), decisions in the order of time, `step_s` apart or at `times_s`.
    """
    here = channel_occupancy(busy, times_s=times_s, level=level)
    if len(busy) < 2:
        return here
    when = times_s if times_s is not None else np.arange(len(busy)) * step_s
    turns = np.flatnonzero(busy[1:] != busy[:-1]) + 1
    starts = np.concatenate(([when[0]], when[turns], [when[-1] + step_s]))
    lengths = np.diff(starts)
    on = bool(busy[0])
    states = np.arange(len(lengths)) % 2 == (0 if on else 1)
    whole = np.ones(len(lengths), np.bool_)
    whole[0] = whole[-1] = False
    if int((states & whole).sum()) < CYCLES_LEAST or int((~states & whole).sum()) < CYCLES_LEAST:
        return Interval(
            value=here.value, low=max(0.0, 2 * here.low - here.value), high=min(1.0, 2 * here.high - here.value),
            level=level,
        )  # fmt: skip
    means = [_mean_points(lengths[s & whole], lengths[s & ~whole]) for s in (states, ~states)]
    shares = np.sort((means[0][:, None] / (means[0][:, None] + means[1][None, :])).ravel())
    tail = (1 - level) / 2
    low, high = (float(np.quantile(shares, q)) for q in (tail, 1 - tail))
    return Interval(value=here.value, low=min(low, here.value), high=max(high, here.value), level=level)


def _mean_points(lengths: Floats, cut_short: Floats) -> Floats:
    """Equally likely values of the mean of the distribution that `lengths` came from; the others lasted at least so."""
    shortest = float(lengths.min()) * (1 - 1 / len(lengths) / 2)
    values, counts = np.unique(lengths - shortest, return_counts=True)
    typical = max(float(values @ counts) / len(lengths), 1e-12)
    tails, scales = np.meshgrid(TAILS, SCALES * typical, indexing="ij")
    scales = scales * np.maximum(tails - 1, 0.3)
    inside = np.log1p(values[None, None, :] / scales[..., None]) @ counts
    beyond = np.log1p(np.maximum(cut_short - shortest, 0)[None, None, :] / scales[..., None]).sum(axis=-1)
    log_likelihood = len(lengths) * (np.log(tails) - np.log(scales)) - (tails + 1) * inside - tails * beyond
    weight = np.exp(log_likelihood - log_likelihood.max()).ravel()
    means = (shortest + scales / (tails - 1)).ravel()
    order = np.argsort(means)
    cumulated = np.cumsum(weight[order]) / weight.sum()
    points: Floats = np.interp((np.arange(POINTS) + 0.5) / POINTS, cumulated, means[order])
    return points
