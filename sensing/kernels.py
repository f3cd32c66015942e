"""The two inner loops that numpy needs eight passes through memory for, compiled: into the transform and out of it.

Compiled when first imported and kept on disk where that can be written. They release the interpreter's lock and never
write to samples.
"""

from typing import Any

import numpy as np

from sensing.loops import precompiled


@precompiled("r1 int16, int64, r1 float32, w2 float32", "r1 float32, int64, r1 float32, w2 float32")
def windowed(flat: Any, step: int, window: Any, out: Any) -> None:
    """Row i of `out` is `window` times what begins at `i * step` in `flat`; all three in interleaved I and Q."""
    width = window.shape[0]
    for i in range(out.shape[0]):
        row = out[i]
        part = flat[i * step : i * step + width]
        for j in range(width):
            row[j] = np.float32(part[j]) * window[j]


@precompiled("w2 complex64, w2 float32")
def add_means(spectra: Any, means: Any) -> None:
    """Row b of `means`, shape (blocks, bins), becomes the mean power of the b-th of as many equal runs of frames."""
    frames = spectra.shape[0] // means.shape[0]
    for block in range(means.shape[0]):
        mean = means[block]
        mean[:] = 0
        for i in range(block * frames, (block + 1) * frames):
            row = spectra[i]
            for j in range(mean.shape[0]):
                mean[j] += row[j].real * row[j].real + row[j].imag * row[j].imag
        mean *= np.float32(1.0 / frames)


@precompiled("w2 complex64, w2 float32, w1 float32, w1 float32")
def add_moments(spectra: Any, means: Any, squares: Any, peak: Any) -> None:
    """As `add_means`; adds the squares of the powers to `squares` and raises `peak` to their maxima, both (bins,)."""
    frames = spectra.shape[0] // means.shape[0]
    for block in range(means.shape[0]):
        mean = means[block]
        mean[:] = 0
        first, last = block * frames, (block + 1) * frames
        for i in range(first, last - 3, 4):
            a, b, c, d = spectra[i], spectra[i + 1], spectra[i + 2], spectra[i + 3]
            for j in range(mean.shape[0]):
                p = a[j].real * a[j].real + a[j].imag * a[j].imag
                q = b[j].real * b[j].real + b[j].imag * b[j].imag
                r = c[j].real * c[j].real + c[j].imag * c[j].imag
                s = d[j].real * d[j].real + d[j].imag * d[j].imag
                mean[j] += (p + q) + (r + s)
                squares[j] += (p * p + q * q) + (r * r + s * s)
                p = q if q > p else p
                r = s if s > r else r
                p = r if r > p else p
                peak[j] = p if p > peak[j] else peak[j]
        for i in range(last - frames % 4, last):
            row = spectra[i]
            for j in range(mean.shape[0]):
                p = row[j].real * row[j].real + row[j].imag * row[j].imag
                mean[j] += p
                squares[j] += p * p
                peak[j] = p if p > peak[j] else peak[j]
        mean *= np.float32(1.0 / frames)


@precompiled("w2 float32, w1 int64, w1 int64, w1 float32, w2 float32")
def group_powers(means: Any, firsts: Any, starts: Any, weights: Any, out: Any) -> None:
    """Fill `out` (blocks, groups) with the weighed sums of neighbouring bins of `means` (blocks, bins).

    Args: firsts (groups,), the first bin of each group; its weights begin at `starts`, int64 (groups + 1,).
    """
    for b in range(out.shape[0]):
        row, into = means[b], out[b]
        for g in range(into.shape[0]):
            weight = weights[starts[g] : starts[g + 1]]
            part = row[firsts[g] : firsts[g] + weight.shape[0]]
            total = np.float32(0)
            for j in range(weight.shape[0]):
                total += part[j] * weight[j]
            into[g] = total


@precompiled("r1 float64", result="float64")
def summed_correlation(kept: Any) -> float:
    """Sum over all pairs of n values of their correlation, `kept` being that of each with the next, shape (n - 1,)."""
    carried = total = 0.0
    for keep in kept:
        carried = keep * (1 + carried)
        total += carried
    return total
