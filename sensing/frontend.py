"""IQ blocks to per-block spectra in one pass over cache-sized batches.

A frame is one windowed FFT, a block is `frames` consecutive frames averaged. All buffers are made once; the samples are
converted and windowed into them, transformed in place and reduced, and never written to.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Iq: TypeAlias = NDArray[np.int16] | NDArray[np.complex64]
Float32s: TypeAlias = NDArray[np.float32]

BATCH_SAMPLES: Final = 32768
"""About what keeps the working set (12 bytes a sample) inside a core's second-level cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectra:
    """What one pass found: arrays of shape (n_fft,), lowest frequency first, in squared full scales per bin.

    `groups` has shape (blocks, n_groups): the mean power of each group of bins in each block.
    """

    frames: int
    mean: Float32s
    peak: Float32s
    kurtosis: Float32s
    groups: Float32s


def flat_samples(iq: Iq) -> NDArray[np.int16] | Float32s:
    """Interleaved I and Q of shape (2n,), a view where memory allows."""
    if iq.dtype == np.int16 and iq.ndim == 2 and iq.shape[1] == 2:
        pairs: NDArray[np.int16] = np.ascontiguousarray(iq, dtype=np.int16)
        return pairs.reshape(-1)
    if iq.dtype == np.complex64 and iq.ndim == 1:
        return np.ascontiguousarray(iq).view(np.float32)
    raise TypeError(f"samples must be int16 of shape (n, 2) or complex64 of shape (n,), not {iq.dtype} {iq.shape}")


def hann(n_fft: int) -> NDArray[np.float64]:
    """Periodic Hann window."""
    window: NDArray[np.float64] = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2
    return window


class FrontEnd:
    """Streams samples into spectra; holds back what does not fill a block until more comes."""

    def __init__(
        self, *, n_fft: int, full_scale: float, frames: int = 1, groups: Float32s | None = None, kurtosis: bool = True
    ) -> None:
        """Args: groups shape (n_fft, n_groups), the weight of each bin in each group; full_scale of the samples."""
        self.n_fft, self.frames = n_fft, frames
        self._kurtosis = kurtosis
        self._batch_blocks = max(1, BATCH_SAMPLES // (n_fft * frames))
        count = self._batch_blocks * frames
        window = hann(n_fft)
        scale = 1 / (full_scale * np.sqrt(np.sum(window**2)))
        centred = np.where(np.arange(n_fft) % 2, -1.0, 1.0)  # moves the lowest frequency to the first bin
        self._window = np.repeat(window * scale * centred, 2).astype(np.float32)
        self._pairs = np.empty((count, 2 * n_fft), np.float32)
        self._power = np.empty((count, n_fft), np.float32)
        self._ones = np.ones(count, np.float32)
        self._row = np.empty(n_fft, np.float32)
        self._group_weights = groups
        self._carry = np.empty(2 * n_fft * frames, np.float32)
        self._carried = 0
        self._sums = np.zeros(n_fft)
        self._squares = np.zeros(n_fft)
        self._peak = np.zeros(n_fft, np.float32)
        self._count = 0
        self._groups: list[Float32s] = []

    def reset(self) -> None:
        """Forget what was held back, as after a gap."""
        self._carried = 0

    def feed(self, iq: Iq) -> None:
        """Take samples, any number; their values are left alone."""
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
            self._blocks(self._carry)
        whole = len(flat) // block * block
        step = block * self._batch_blocks
        for start in range(0, whole, step):
            self._blocks(flat[start : min(start + step, whole)])
        rest = flat[whole:]
        self._carry[: len(rest)] = rest
        self._carried = len(rest)

    def take(self) -> Spectra:
        """Spectra since the last call; all zero, with `frames` 0, when no block was complete."""
        n = max(1, self._count)
        mean = self._sums / n
        found = Spectra(
            frames=self._count,
            mean=mean.astype(np.float32),
            peak=self._peak.copy(),
            kurtosis=spectral_kurtosis(self._sums, self._squares, self._count),
            groups=np.concatenate(self._groups) if self._groups else np.zeros((0, self._n_groups), np.float32),
        )
        self._sums[:] = 0
        self._squares[:] = 0
        self._peak[:] = 0
        self._count = 0
        self._groups.clear()
        return found

    @property
    def _n_groups(self) -> int:
        return 0 if self._group_weights is None else int(self._group_weights.shape[1])

    def _blocks(self, flat: NDArray[np.int16] | Float32s) -> None:
        rows = flat.reshape(-1, 2 * self.n_fft)
        count = len(rows)
        pairs, power = self._pairs[:count], self._power[:count]
        np.copyto(pairs, rows)
        np.multiply(pairs, self._window, out=pairs)
        spectrum = fft.fft(pairs.view(np.complex64), axis=-1, overwrite_x=True).view(np.float32)
        np.multiply(spectrum, spectrum, out=spectrum)
        np.add(spectrum[:, 0::2], spectrum[:, 1::2], out=power)
        self._reduce(power, count)

    def _reduce(self, power: Float32s, count: int) -> None:
        np.maximum.reduce(power, axis=0, out=self._row)
        np.maximum(self._peak, self._row, out=self._peak)
        if self._kurtosis:
            np.einsum("ij,ij->j", power, power, out=self._row)
            self._squares += self._row
        if self._group_weights is not None:
            blocks = power.reshape(-1, self.frames, self.n_fft).mean(axis=1)
            self._groups.append(blocks @ self._group_weights)
        np.dot(self._ones[:count], power, out=self._row)
        self._sums += self._row
        self._count += count


def spectral_kurtosis(sums: NDArray[np.float64], squares: NDArray[np.float64], frames: int) -> Float32s:
    """Spectral kurtosis of each bin: 1 in Gaussian noise, below for a carrier, above for bursts.

    Source: Nita and Gary, "The generalized spectral kurtosis estimator": (M+1)/(M-1) (M S2/S1^2 - 1).
    """
    if frames < 2:
        return np.ones(len(sums), np.float32)
    ratio = np.divide(frames * squares, sums * sums, out=np.full(len(sums), 2.0), where=sums > 0)
    kurtosis: Float32s = ((frames + 1) / (frames - 1) * (ratio - 1)).astype(np.float32)
    return kurtosis
