"""Compiled loop of what a look at the raw samples tells: their mean, powers and fourth moment, in two passes."""

from typing import Any

from sensing.loops import precompiled


@precompiled("r1 int16, int64, int64, float64, w1 float64", "r1 float32, int64, int64, float64, w1 float64")
def probed(flat: Any, step: int, count: int, scale: float, found: Any) -> None:
    """Fill `found` (6,) with the means of I and Q, and of I I, Q Q, I Q and (I I + Q Q)^2 about those means.

    Args: flat interleaved I and Q, of which every `step`-th sample counts, `count` of them; scale what they are
        divided by.
    """
    sum_i, sum_q = 0.0, 0.0
    for n in range(count):
        sum_i += flat[2 * n * step]
        sum_q += flat[2 * n * step + 1]
    mean_i, mean_q = sum_i / count / scale, sum_q / count / scale
    ii, qq, iq, fourth, share = 0.0, 0.0, 0.0, 0.0, 1 / scale
    for n in range(count):
        i, q = flat[2 * n * step] * share - mean_i, flat[2 * n * step + 1] * share - mean_q
        square = i * i + q * q
        ii += i * i
        qq += q * q
        iq += i * q
        fourth += square * square
    found[0], found[1] = mean_i, mean_q
    found[2], found[3], found[4], found[5] = ii / count, qq / count, iq / count, fourth / count
