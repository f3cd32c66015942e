"""Converts IQ samples to averaged spectra, block by block, in one pass over cache-sized batches.

A frame is one windowed FFT, a block is `frames` consecutive frames averaged. All buffers are made once; the samples are
converted and windowed into them in one pass, transformed in place and reduced in one pass, and never written to.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sensing.kernels import add_means, add_moments, group_powers, windowed
from sensing.transform import fft

Iq: TypeAlias = NDArray[np.int16] | NDArray[np.complex64]
Float32s: TypeAlias = NDArray[np.float32]

BATCH_SAMPLES: Final = 131072
"""Samples per batch: the working set (8 bytes a sample) stays in cache and calls are few; found by measurement."""

ALIGN_FLOATS: Final = 1024 + 272


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectra:
    """The spectra of one pass: arrays of shape (n_fft,), lowest frequency first, in squared full scales per bin.

    `groups` has shape (blocks, n_groups): the mean power of each group of bins in each block. `offset_bins`, shape
    (blocks,), is that of the three bins around the tuned frequency with the look's constant offset removed. `mean`,
    `peak` and `kurtosis` are of `frames` frames.
    """

    frames: int
    mean: Float32s
    peak: Float32s
    kurtosis: Float32s
    groups: Float32s
    offset_bins: Float32s


def flat_samples(iq: Iq) -> NDArray[np.int16] | Float32s:
    """Interleaved I and Q of shape (2n,), a view where the memory layout allows."""
    if iq.dtype == np.int16 and iq.ndim == 2 and iq.shape[1] == 2:
        pairs: NDArray[np.int16] = np.require(iq, np.int16, ["C", "A"])
        return pairs.reshape(-1)
    if iq.dtype == np.complex64 and iq.ndim == 1:
        return np.require(iq, np.complex64, ["C", "A"]).view(np.float32)
    raise TypeError(f"samples must be int16 of shape (n, 2) or complex64 of shape (n,), not {iq.dtype} {iq.shape}")


def hann(n_fft: int) -> NDArray[np.float64]:
    """Periodic Hann window."""
    window: NDArray[np.float64] = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2
    return window


class FrontEnd:
    """Converts a stream of samples to spectra; samples that do not fill a block wait for more."""

    def __init__(
        self, *, n_fft: int, full_scale: float, frames: int = 1, groups: Float32s | None = None, moments: bool = True
    ) -> None:
        """Args: groups shape (n_fft, n_groups): weight of each bin in each group; full_scale: that of the samples.

        Without `moments` only means and groups are made; peak and kurtosis stay 0 and 1.
        """
        self.n_fft, self.frames = n_fft, frames
        self._moments = moments
        self._firsts, self._starts, self._weights = _runs(
            np.zeros((n_fft, 0), np.float32) if groups is None else groups
        )
        self._batch_blocks = max(1, BATCH_SAMPLES // (n_fft * frames))
        self._window = _window(n_fft, full_scale)
        count = self._batch_blocks * frames
        pairs, means = _buffers(2 * count, self._batch_blocks, n_fft)
        self._pairs = pairs.reshape(count, 2 * n_fft)
        self._means = means.reshape(self._batch_blocks, n_fft)
        self._carry = np.empty(2 * n_fft * frames, np.float32)
        self._carried = 0
        self._batch_squares = np.empty(n_fft, np.float32)
        self._sums = np.zeros(n_fft)
        self._squares = np.zeros(n_fft)
        self._peak = np.zeros(n_fft, np.float32)
        self._count = 0
        self._groups: list[Float32s] = []
        self._middle = slice(n_fft // 2 - 1, n_fft // 2 + 2)
        self._offsets: list[NDArray[np.complex64]] = []
        self._middle_power: list[Float32s] = []

    @property
    def held(self) -> int:
        """Number of samples that wait for the rest of their block."""
        return self._carried // 2

    def reset(self) -> None:
        """Drop the waiting samples, as after a gap."""
        self._carried = 0

    def feed(self, iq: Iq) -> None:
        """Take any number of samples; they are not modified."""
        flat = flat_samples(iq)
        block = len(self._carry)
        if self._carried:
            take = min(block - self._carried, len(flat))
            self._carry[self._carried : self._carried + take] = flat[:take]
            self._carried += take
            flat = flat[take:]
            if self._carried < block:
                return
            self._carried = 0
            self._reduce(self._carry)
        whole = len(flat) // block
        for start in range(0, whole, self._batch_blocks):
            self._reduce(flat[start * block : min(whole, start + self._batch_blocks) * block])
        rest = flat[whole * block :]
        self._carry[: len(rest)] = rest
        self._carried = len(rest)

    @property
    def blocks(self) -> int:
        """Number of complete blocks since the last call of `take`."""
        return self._count // self.frames

    def take(self, sound: NDArray[np.bool_] | None = None) -> Spectra:
        """Spectra since the last call; all zero, with `frames` 0, when no block was complete.

        Args: sound: which of the blocks, shape (blocks,), show the constant offset; None: all of them.
        """
        sums = self._sums * self.frames
        found = Spectra(
            frames=self._count,
            mean=(sums / max(1, self._count)).astype(np.float32),
            peak=self._peak.copy(),
            kurtosis=spectral_kurtosis(sums, self._squares, self._count if self._moments else 0),
            groups=np.concatenate(self._groups) if self._groups else np.zeros((0, self._n_groups), np.float32),
            offset_bins=self._without_offset(sound),
        )
        self._sums[:] = 0
        self._squares[:] = 0
        self._peak[:] = 0
        self._count = 0
        self._groups.clear()
        self._offsets.clear()
        self._middle_power.clear()
        return found

    def _without_offset(self, sound: NDArray[np.bool_] | None) -> Float32s:
        """Power of the middle bins without their median over the look: removes a constant offset, keeps bursts."""
        if not self._offsets:
            return np.zeros(0, np.float32)
        each, power = np.concatenate(self._offsets), np.concatenate(self._middle_power)
        shown = each if sound is None or not sound.any() else each[sound]
        constant = _medians(shown.view(np.float32)).view(np.complex64)
        left = power - 2 * (each * constant.conj()).real + np.abs(constant) ** 2
        count = len(each) * self.frames
        rest: Float32s = (np.maximum(left, 0).mean(axis=1) * (count / max(1, count - 1))).astype(np.float32)
        return rest

    @property
    def _n_groups(self) -> int:
        return len(self._firsts)

    def _reduce(self, flat: NDArray[np.int16] | Float32s) -> None:
        """Convert, window, transform and accumulate whole blocks of interleaved I and Q, at most a batch."""
        blocks = len(flat) // len(self._carry)
        pairs, means = self._pairs[: blocks * self.frames], self._means[:blocks]
        windowed(flat, 2 * self.n_fft, self._window, pairs)
        spectra = pairs.view(np.complex64)
        fft(spectra, out=spectra)
        if self._moments:
            self._batch_squares[:] = 0
            add_moments(spectra, means, self._batch_squares, self._peak)
            self._squares += self._batch_squares
        else:
            add_means(spectra, means)
        self._sums += np.add.reduce(means, axis=0)
        self._count += len(pairs)
        if len(self._firsts):
            found = np.empty((blocks, len(self._firsts)), np.float32)
            group_powers(means, self._firsts, self._starts, self._weights, found)
            self._groups.append(found)
            middle = spectra[:, self._middle].reshape(blocks, self.frames, -1)
            self._offsets.append(middle.mean(axis=1))
            self._middle_power.append(means[:, self._middle].copy())


def _runs(groups: Float32s) -> tuple[NDArray[np.int64], NDArray[np.int64], Float32s]:
    """For each group its first bin with a weight, the start of its weights in the third array, and those weights.

    Args: groups (bins, groups).
    """
    used = [np.flatnonzero(column) for column in groups.T]
    firsts = [int(bins[0]) if len(bins) else 0 for bins in used]
    lasts = [int(bins[-1]) + 1 if len(bins) else 0 for bins in used]
    parts = [column[first:last] for column, first, last in zip(groups.T, firsts, lasts, strict=True)]
    weights = np.concatenate([np.zeros(0, np.float32), *parts]).astype(np.float32)
    return np.array(firsts, np.int64), np.cumsum([0, *map(len, parts)]).astype(np.int64), weights


def _medians(rows: Float32s) -> Float32s:
    """The median of each column, as `np.median`, for a few rows, where numpy's checks take longer than the sorting."""
    ordered, half = np.sort(rows, axis=0), len(rows) // 2
    middle: Float32s = ordered[half] if len(rows) % 2 else (ordered[half - 1] + ordered[half]) / np.float32(2)
    return middle


def _buffers(pair_rows: int, mean_rows: int, n_fft: int) -> tuple[Float32s, Float32s]:
    """Uninitialised buffers of `pair_rows` x n_fft and `mean_rows` x n_fft float32 values, in one piece of memory.

    Each begins on a cache line; the second lies a page and a bit behind the first, so that they do not share places
    in the cache.
    """
    memory = np.empty((pair_rows + mean_rows) * n_fft + 5 * ALIGN_FLOATS, np.float32)
    first = -(memory.ctypes.data // 4) % 16
    second = first + -(-pair_rows * n_fft // 16) * 16 + ALIGN_FLOATS
    return memory[first : first + pair_rows * n_fft], memory[second : second + mean_rows * n_fft]


def _window(n_fft: int, full_scale: float) -> Float32s:
    """Window for interleaved I and Q: unit noise gain, lowest frequency moved to the first bin."""
    window = hann(n_fft)
    centred = np.where(np.arange(n_fft) % 2, -1.0, 1.0)
    return np.repeat(window * centred / (full_scale * np.sqrt(np.sum(window**2))), 2).astype(np.float32)


def spectral_kurtosis(sums: NDArray[np.float64], squares: NDArray[np.float64], frames: int) -> Float32s:
    """Spectral kurtosis of each bin: 1 in Gaussian noise, below for a carrier, above for bursts.

    Source: Nita and Gary, "The generalized spectral kurtosis estimator": (M+1)/(M-1) (M S2/S1^2 - 1).
    """
    if frames < 2:
        return np.ones(len(sums), np.float32)
    ratio = np.divide(frames * squares, sums * sums, out=np.full(len(sums), 2.0), where=sums > 0)
    kurtosis: Float32s = ((frames + 1) / (frames - 1) * (ratio - 1)).astype(np.float32)
    return kurtosis
