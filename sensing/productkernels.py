"""Compiled loops of the measurement products: each passes over what it is given once. Compiled when first used."""

from typing import Any

import numpy as np

from sensing.loops import compiled


@compiled
def spread_powers(spectra: Any, shift: int, lowest: int, counts: Any, total: Any, peak: Any) -> None:
    """Count each bin's power on its scale, add it to `total` and raise `peak` to it.

    Args: spectra complex64 (frames, bins). The level of a power is its float's bits, moved right by `shift`, less
        `lowest`, inside `counts`, uint32 (bins, levels). total float64 (bins,), peak float32 (bins,).
    """
    bins, last = spectra.shape[1], counts.shape[1] - 1
    power, level = np.empty(bins, np.float32), np.empty(bins, np.int32)
    bits = power.view(np.int32)
    for i in range(spectra.shape[0]):
        row = spectra[i]
        for j in range(bins):
            power[j] = row[j].real * row[j].real + row[j].imag * row[j].imag
        for j in range(bins):
            total[j] += power[j]
            peak[j] = power[j] if power[j] > peak[j] else peak[j]
            level[j] = min(max((bits[j] >> shift) - lowest, 0), last)
        for j in range(bins):
            counts[j, level[j]] += np.uint32(1)


@compiled
def picked_bins(spectra: Any, at: Any, weights: Any, out: Any) -> None:
    """The bins of each channel out of each transform, weighed: complex64 (transforms, channels, bins of a channel)."""
    for b in range(spectra.shape[0]):
        row = spectra[b]
        for c in range(at.shape[0]):
            places, weight, into = at[c], weights[c], out[b, c]
            for j in range(places.shape[0]):
                into[j] = row[places[j]] * weight[j]


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
    for c in range(power.shape[0]):
        row, held = power[c], counts[c]
        bits = row.view(np.int32)
        for j in range(row.shape[0]):
            cell = bits[j] >> shift
            held[below[cell] + (1 if row[j] >= edges[cell] else 0)] += 1
