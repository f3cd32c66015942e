"""IQ blocks to per-block spectra in one pass over cache-sized batches.

A frame is one windowed FFT, a block is `frames` consecutive frames averaged. All buffers are made once; the samples are
converted and windowed into them, transformed in place and reduced, and never written to.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.lib import introspect
from numpy.typing import NDArray
from scipy import fft

Iq: TypeAlias = NDArray[np.int16] | NDArray[np.complex64]
Float32s: TypeAlias = NDArray[np.float32]

BATCH_SAMPLES: Final = 131072
"""About what keeps the working set (12 bytes a sample) near a core and the calls few; found by measurement."""


def _fast_absolute() -> bool:
    """Whether numpy has vector code for the magnitude of complex64 on this machine; without it squares are faster."""
    found = introspect.opt_func_info(func_name="^absolute$", signature="complex64").get("absolute", {})
    return any(not str(one.get("current", "baseline")).startswith("baseline") for one in found.values())


STRIP_FRAMES_MAX: Final = 8
PRODUCT_BLOCKS_MAX: Final = 16
HUGE_PAGES_FLOATS: Final = 1 << 21
ALIGN_FLOATS: Final = 1024 + 272
FAST_ABSOLUTE: Final = _fast_absolute()


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
        self._kurtosis, self._group_weights = kurtosis, groups
        self._batch_blocks = max(1, BATCH_SAMPLES // (n_fft * frames))
        self._window = _tiled_window(n_fft, frames, full_scale)
        self._arena = _arena(self._batch_blocks * (n_fft * (3 * frames + 1) + frames))
        self._work = self._views(self._batch_blocks)
        self._carry = np.empty(2 * n_fft * frames, np.float32)
        self._carried = 0
        self._row = np.empty(n_fft, np.float32)
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
            self._reduce(self._carry.reshape(1, -1))
        whole = len(flat) // block
        rows = flat[: whole * block].reshape(whole, block)
        for start in range(0, whole, self._batch_blocks):
            self._reduce(rows[start : start + self._batch_blocks])
        rest = flat[whole * block :]
        self._carry[: len(rest)] = rest
        self._carried = len(rest)

    def take(self) -> Spectra:
        """Spectra since the last call; all zero, with `frames` 0, when no block was complete."""
        sums = self._sums * self.frames
        found = Spectra(
            frames=self._count,
            mean=(sums / max(1, self._count)).astype(np.float32),
            peak=self._peak.copy(),
            kurtosis=spectral_kurtosis(sums, self._squares, self._count),
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

    def _views(self, blocks: int) -> "_Work":
        return _Work(self._arena, n_fft=self.n_fft, frames=self.frames, blocks=blocks)

    def _reduce(self, rows: NDArray[np.int16] | Float32s) -> None:
        """Convert, window, transform and accumulate whole blocks, shape (blocks, 2 * n_fft * frames)."""
        work = self._work if len(rows) == self._batch_blocks else self._views(len(rows))
        np.copyto(work.pairs, rows)
        np.multiply(work.strips, self._window, out=work.strips)
        power = work.power
        to_power(fft.fft(work.frames, axis=-1, overwrite_x=True), power)
        np.maximum.reduce(power, axis=0, out=self._row)
        np.maximum(self._peak, self._row, out=self._peak)
        work.average_blocks()
        np.add.reduce(work.levels, axis=0, out=self._row)
        self._sums += self._row
        self._count += len(power)
        if self._group_weights is not None:
            self._groups.append(work.levels @ self._group_weights)
        if self._kurtosis:
            np.multiply(power, power, out=power)
            np.dot(work.ones, power, out=self._row)
            self._squares += self._row


class _Work:
    """Views for a batch of so many blocks into one arena; `pairs`, `strips` and `frames` are the same memory.

    `average` takes the mean of each block's frames where a product is the fast way to it, `ones` the sum of all.
    """

    __slots__ = ("average", "frames", "levels", "ones", "pairs", "power", "strips")

    def __init__(self, arena: Float32s, *, n_fft: int, frames: int, blocks: int) -> None:
        count = blocks * frames
        pairs, power, levels, self.ones = _carve(arena, 2 * count * n_fft, count * n_fft, blocks * n_fft, count)
        self.pairs = pairs.reshape(blocks, 2 * n_fft * frames)
        self.frames = pairs.reshape(count, 2 * n_fft).view(np.complex64)
        self.strips = pairs.reshape(-1, 2 * n_fft * strip_frames(frames))
        self.power = power.reshape(count, n_fft)
        self.levels = levels.reshape(blocks, n_fft)
        self.ones[:] = 1
        self.average: Float32s | None = None
        if blocks <= PRODUCT_BLOCKS_MAX:
            self.average = np.repeat(np.eye(blocks, dtype=np.float32) / np.float32(frames), frames, axis=1)

    def average_blocks(self) -> None:
        """Fill `levels` with the mean power of each block."""
        if self.average is not None:
            np.matmul(self.average, self.power, out=self.levels)
            return
        blocks, n_fft = self.levels.shape
        np.mean(self.power.reshape(blocks, -1, n_fft), axis=1, out=self.levels)


def _arena(floats: int) -> Float32s:
    """Memory large enough for numpy to ask for huge pages, which keeps its place in the cache predictable."""
    return np.empty(max(floats + 5 * ALIGN_FLOATS, HUGE_PAGES_FLOATS), np.float32)


def _carve(arena: Float32s, *sizes: int) -> list[Float32s]:
    """Consecutive stretches, each beginning on a cache line, one page and a bit apart so that none alias."""
    at = -(arena.ctypes.data // 4) % 16
    parts = []
    for size in sizes:
        parts.append(arena[at : at + size])
        at += -(-size // 16) * 16 + ALIGN_FLOATS
    return parts


def _tiled_window(n_fft: int, frames: int, full_scale: float) -> Float32s:
    """Window for a strip of interleaved I and Q: unit noise gain, lowest frequency moved to the first bin."""
    window = hann(n_fft)
    centred = np.where(np.arange(n_fft) % 2, -1.0, 1.0)
    scaled = window * centred / (full_scale * np.sqrt(np.sum(window**2)))
    return np.tile(np.repeat(scaled, 2), strip_frames(frames)).astype(np.float32)


def strip_frames(frames: int) -> int:
    """How many frames of a block are windowed in one go: longer rows cost numpy less, up to the first-level cache."""
    return next(count for count in range(min(frames, STRIP_FRAMES_MAX), 0, -1) if frames % count == 0)


def to_power(spectrum: NDArray[np.complex64], power: Float32s) -> None:
    """Squared magnitude into `power`, the spectrum may be overwritten; shapes (frames, n_fft)."""
    if FAST_ABSOLUTE:
        np.abs(spectrum, out=power)
        np.multiply(power, power, out=power)
        return
    flat = spectrum.view(np.float32)
    np.multiply(flat, flat, out=flat)
    np.add(flat[:, 0::2], flat[:, 1::2], out=power)


def spectral_kurtosis(sums: NDArray[np.float64], squares: NDArray[np.float64], frames: int) -> Float32s:
    """Spectral kurtosis of each bin: 1 in Gaussian noise, below for a carrier, above for bursts.

    Source: Nita and Gary, "The generalized spectral kurtosis estimator": (M+1)/(M-1) (M S2/S1^2 - 1).
    """
    if frames < 2:
        return np.ones(len(sums), np.float32)
    ratio = np.divide(frames * squares, sums * sums, out=np.full(len(sums), 2.0), where=sums > 0)
    kurtosis: Float32s = ((frames + 1) / (frames - 1) * (ratio - 1)).astype(np.float32)
    return kurtosis
