"""Long-run channel occupancy estimated from a stretch, with an interval valid for heavy-tailed on and off times.

How long a channel is on, and how long off, is taken to follow a generalised Pareto distribution above its shortest
time: exponential times and Pareto ones are both among them. Each has a posterior on a grid of tail indices and
scales; the occupancy is mean on over mean on and off. Tails whose mean is infinite have no long-run occupancy and are
left out. That model takes on and off times for independent, and none for shorter than a block. So the interval also
includes an estimate from parts of the stretch, whose shares of busy time differ less the longer the parts are: how much
less is measured, and extrapolated to the whole stretch with the Hurst index that the parts show.

Source: ITU-R SM.2256 for the measure; Pickands (1975) for the distribution.
"""

from math import exp, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.occupancy import channel_occupancy
from sensing.values import Interval

Floats = NDArray[np.float64]

CYCLES_LEAST: Final = 6
"""With fewer complete on times, or off times, the tail cannot be estimated, and nothing is said."""
TAILS: Final = np.geomspace(1.02, 60.0, 40)
SCALES: Final = np.geomspace(0.03, 60.0, 70)
"""Grid of scales, as multiples of the mean excess over the shortest time times a factor for the tail."""
POINTS: Final = 200
LATTICE: Final = 160
VALUES_AT_ONCE: Final = 512
"""Number of durations processed together: the memory for an hour of bursts is that for a second of them."""
PARTS: Final = (8, 16, 32, 64, 128)
PART_SAMPLES_LEAST: Final = 4
MEMORY_SLACK: Final = 0.15
"""Added to the Hurst index of the parts, which few parts of one stretch underestimate."""
MEMORY: Final = (0.5, 0.97)
STUDENT_7: Final = 2.365
"""Student factor of the spread of the eight longest parts, at 95 %."""


def long_run_occupancy(
    busy: NDArray[np.bool_], *, step_s: float, times_s: Floats | None = None, level: float = 0.95
) -> Interval:
    """Share of the time in which a channel is busy in the long run.

    NaN, from 0 to 1, where there are fewer than CYCLES_LEAST complete on times or off times.

    Args: busy shape (n,), decisions in the order of time, `step_s` apart or at `times_s`; level of the interval.
    """
    if len(busy) < 2:
        return channel_occupancy(busy, times_s=times_s, level=level)
    here = float(busy.mean())
    when = times_s if times_s is not None else np.arange(len(busy)) * step_s
    turns = np.flatnonzero(busy[1:] != busy[:-1]) + 1
    starts = np.concatenate(([when[0]], when[turns], [when[-1] + step_s]))
    lengths = np.diff(starts)
    on = bool(busy[0])
    states = np.arange(len(lengths)) % 2 == (0 if on else 1)
    whole = np.ones(len(lengths), np.bool_)
    whole[0] = whole[-1] = False
    if int((states & whole).sum()) < CYCLES_LEAST or int((~states & whole).sum()) < CYCLES_LEAST:
        return Interval(value=float("nan"), low=0.0, high=1.0, level=level)
    means = [_mean_points(lengths[s & whole], lengths[s & ~whole]) for s in (states, ~states)]
    shares = np.sort((means[0][:, None] / (means[0][:, None] + means[1][None, :])).ravel())
    tail = (1 - level) / 2
    low, high = (float(np.quantile(shares, q)) for q in (tail, 1 - tail))
    least, most = _of_parts(busy)
    return Interval(
        value=here, low=min(low, least, here), high=max(high, most, here), level=level
    )  # fmt: skip


def _of_parts(busy: NDArray[np.bool_]) -> tuple[float, float]:
    """Bounds of the share at 95 %, from the spread of the shares of shorter and longer parts of the stretch."""
    counts = [count for count in PARTS if len(busy) // count >= PART_SAMPLES_LEAST]
    share = float(busy.mean())
    if not counts or share in {0.0, 1.0}:
        return 0.0, 1.0
    spreads = [
        max(float(busy[: len(busy) // count * count].reshape(count, -1).mean(axis=1).var(ddof=1)), 1e-12)
        for count in counts
    ]
    slope = float(np.polyfit(-np.log(counts), np.log(spreads), 1)[0]) if len(counts) > 1 else -1.0
    hurst = min(MEMORY[1], max(MEMORY[0], 1 + slope / 2 + MEMORY_SLACK))
    kept = counts[0] ** (2 * hurst - 2)
    spread = spreads[0] * kept / (1 - kept)
    middle, reach = log(share / (1 - share)), STUDENT_7 * spread**0.5 / (share * (1 - share))
    return _odds(middle - reach), _odds(middle + reach)


def _odds(log_odds: float) -> float:
    return 1 / (1 + exp(-max(-500.0, min(500.0, log_odds))))


def _mean_points(lengths: Floats, cut_short: Floats) -> Floats:
    """Equally likely values of the mean of the distribution of `lengths`; `cut_short` are lower bounds of others."""
    shortest = float(lengths.min()) * (1 - 1 / len(lengths) / 2)
    values, counts = np.unique(lengths - shortest, return_counts=True)
    typical = max(float(values @ counts) / len(lengths), 1e-12)
    tails, scales = np.meshgrid(TAILS, SCALES * typical, indexing="ij")
    scales = scales * np.maximum(tails - 1, 0.3)
    inside = _log_sums(values, counts, scales)
    beyond = np.log1p(np.maximum(cut_short - shortest, 0)[None, None, :] / scales[..., None]).sum(axis=-1)
    log_likelihood = len(lengths) * (np.log(tails) - np.log(scales)) - (tails + 1) * inside - tails * beyond
    weight = np.exp(log_likelihood - log_likelihood.max()).ravel()
    means = (shortest + scales / (tails - 1)).ravel()
    order = np.argsort(means)
    cumulated = np.cumsum(weight[order]) / weight.sum()
    points: Floats = np.interp((np.arange(POINTS) + 0.5) / POINTS, cumulated, means[order])
    return points


def _log_sums(values: Floats, counts: NDArray[np.intp], scales: Floats) -> Floats:
    """Sum of log(1 + value / scale) over all values, for each scale.

    The sum is a smooth function of the scale: it and its slope are computed at LATTICE scales, and it is cubic between
    them (Hermite). Over the whole grid of tails and scales that is off by less than 1e-7 for each value.

    Args: values shape (n,), each `counts` times; scales of any shape, positive.
    """
    logs = np.log(scales)
    first, last = float(logs.min()), float(logs.max())
    step = (last - first) / (LATTICE - 1)
    points = np.exp(np.linspace(first, last, LATTICE))[:, None]
    sums, slopes = np.zeros(LATTICE), np.zeros(LATTICE)
    for at in range(0, len(values), VALUES_AT_ONCE):
        some, times = values[at : at + VALUES_AT_ONCE], counts[at : at + VALUES_AT_ONCE]
        sums += np.log1p(some / points) @ times
        slopes -= (some / (points + some)) @ times
    place = (logs - first) / step
    left = np.minimum(place.astype(np.intp), LATTICE - 2)
    along, right = place - left, left + 1
    rest = 1 - along
    found: Floats = (
        rest**2 * ((1 + 2 * along) * sums[left] + along * step * slopes[left])
        + along**2 * ((1 + 2 * rest) * sums[right] - rest * step * slopes[right])
    )  # fmt: skip
    return found
