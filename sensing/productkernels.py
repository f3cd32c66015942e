"""Compiled loops of the measurement products: each passes over what it is given once. Compiled when first used."""

from typing import Any, Final

import numpy as np

from sensing.loops import compiled, precompiled

BINS_AT_ONCE: Final = 16
"""Bins whose levels are counted together: what is counted of them fits the memory nearest to a core."""


@precompiled("r1 int16, float32, w1 float32")
def scaled(flat: Any, scale: Any, out: Any) -> None:
    """Fill `out`, float32, with the numbers of `flat` divided by `scale`."""
    for j in range(out.shape[0]):
        out[j] = np.float32(flat[j]) / scale


@compiled
def spread_powers(spectra: Any, shift: int, lowest: int, counts: Any, total: Any, peak: Any) -> None:
    """Count each bin's power on its scale, add it to `total` and raise `peak` to it.

    Args: spectra complex64 (frames, bins). The level of a power is its float's bits, moved right by `shift`, less
        `lowest`, inside `counts`, uint32 (levels, bins or more). total float64 (bins,), peak float32 (bins,).
    """
    frames, bins = spectra.shape
    last = counts.shape[0] - 1
    power, levels = np.empty(bins, np.float32), np.empty((frames, bins), np.uint16)
    bits = power.view(np.int32)
    for i in range(frames):
        row, level = spectra[i], levels[i]
        for j in range(bins):
            power[j] = row[j].real * row[j].real + row[j].imag * row[j].imag
        for j in range(bins):
            total[j] += power[j]
            peak[j] = power[j] if power[j] > peak[j] else peak[j]
        for j in range(bins):
            level[j] = min(max((bits[j] >> shift) - lowest, 0), last)
    # A few bins at a time: what is counted of them stays near the core, of all bins it does not.
    for first in range(0, bins, BINS_AT_ONCE):
        end = min(first + BINS_AT_ONCE, bins)
        for i in range(frames):
            for j in range(first, end):
                counts[levels[i, j], j] += np.uint32(1)


@compiled
def picked_bins(spectra: Any, runs: Any, weights: Any, out: Any) -> None:
    """The bins of each channel out of each transform, weighed: complex64 (transforms, channels, bins of a channel).

    Args: runs int64 (runs, 4): of neighbouring bins the channel, the first place in it, the first in the transform, and
        how many; those that begin below zero in the transform become nothing.
    """
    for b in range(spectra.shape[0]):
        for k in range(runs.shape[0]):
            channel, begin, at, count = runs[k, 0], runs[k, 1], runs[k, 2], runs[k, 3]
            into = out[b, channel, begin : begin + count]
            if at < 0:
                into[:] = 0
                continue
            row, weight = spectra[b, at : at + count], weights[channel, begin : begin + count]
            for j in range(count):
                into[j] = row[j] * weight[j]


@compiled
def middle_powers(parts: Any, first: int, keep: int, scale: Any, out: Any, at: int) -> None:
    """Powers of what is kept of each block, one block after the other.

    Args: parts complex64 (blocks, channels, n), of which `keep` from `first` on are kept; scale of an amplitude; out
        float32 (channels, n), filled from `at` on.
    """
    for b in range(parts.shape[0]):
        for c in range(parts.shape[1]):
            begin = at + b * keep
            some, into = parts[b, c, first : first + keep], out[c, begin : begin + keep]
            for j in range(keep):
                real, imag = some[j].real * scale, some[j].imag * scale
                into[j] = real * real + imag * imag


@compiled
def frame_parts(power: Any, edges: Any, mean: Any, peak: Any, part_mean: Any, part_peak: Any) -> None:
    """Mean and maximum of a stretch of each channel's powers, and of each of its parts.

    Args: power float32 (channels, n), none below zero; edges int64 (parts + 1,), where each part begins and the last
        ends; mean and peak float32 (channels,); part_mean and part_peak float64 (channels, parts).
    """
    for c in range(power.shape[0]):
        total: Any = 0.0
        highest: Any = np.float32(0)
        for k in range(edges.shape[0] - 1):
            some = power[c, edges[k] : edges[k + 1]]
            added, most = np.float32(0), np.float32(0)
            for j in range(some.shape[0]):
                added += some[j]
                most = some[j] if some[j] > most else most
            total += added
            highest = most if most > highest else highest
            part_mean[c, k], part_peak[c, k] = added / some.shape[0], most
        mean[c], peak[c] = total / (edges[-1] - edges[0]), highest


@compiled
def count_levels(power: Any, shift: int, below: Any, edges: Any, counts: Any) -> None:
    """Count powers on a scale of which each cell holds at most one edge; `counts` int64 (channels, levels).

    Args: power float32 (channels, n), none below zero; a power's cell is its bits moved right by `shift`; `below` the
        level of the cell's part under `edges`.
    """
    # Four counters a level, taken in turn: neighbouring samples are often alike, and one counter would wait for itself.
    held = np.zeros((4, counts.shape[1]), np.int64)
    one, two, three, four = held[0], held[1], held[2], held[3]
    for c in range(power.shape[0]):
        row = power[c]
        bits, count = row.view(np.int32), row.shape[0]
        held[:] = 0
        for j in range(0, count - 3, 4):
            a, b = bits[j] >> shift, bits[j + 1] >> shift
            one[below[a] + (1 if row[j] >= edges[a] else 0)] += 1
            two[below[b] + (1 if row[j + 1] >= edges[b] else 0)] += 1
            a, b = bits[j + 2] >> shift, bits[j + 3] >> shift
            three[below[a] + (1 if row[j + 2] >= edges[a] else 0)] += 1
            four[below[b] + (1 if row[j + 3] >= edges[b] else 0)] += 1
        for j in range(count - count % 4, count):
            a = bits[j] >> shift
            one[below[a] + (1 if row[j] >= edges[a] else 0)] += 1
        into = counts[c]
        for level in range(into.shape[0]):
            into[level] += (one[level] + two[level]) + (three[level] + four[level])
