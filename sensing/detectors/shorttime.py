"""Short-time spectra fine enough for pulses: bins of about half a megahertz, a frame every microsecond."""

from math import log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.pulsekernels import BLOCK, squared_blocks
from sensing.frontend import Float32s, Iq, flat_samples, hann
from sensing.kernels import windowed
from sensing.transform import fft

WINDOW_US: Final = 2.0
BATCH_CELLS: Final = 32768


SPILL_FINE: Final = 16


def _spill(window: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of a bin's noise power that leaks into each other bin, (2 n - 1,), 0 for itself; with that the sum is 1."""
    size = len(window)
    fine = np.abs(np.fft.fft(window, size * SPILL_FINE)) ** 2
    mean = np.convolve(np.concatenate((fine, fine[: SPILL_FINE - 1])), np.ones(SPILL_FINE) / SPILL_FINE, mode="valid")
    share = np.roll(mean, SPILL_FINE // 2)[::SPILL_FINE][: size // 2 + 1]
    both = np.concatenate((share[:0:-1], share))
    both /= both.sum()
    both[size // 2] = 0.0
    return both


class ShortTime:
    """Spectrogram with half-overlapping Hann windows of about 2 microseconds.

    A cell has 0.75 MHz of equivalent noise bandwidth, close to the 1 MHz filter radar levels are specified in.
    """

    def __init__(self, *, sample_rate_hz: float, full_scale: float) -> None:
        """Args: full_scale: amplitude of full scale in the units of the samples."""
        self.n_fft = 1 << max(2, round(log2(sample_rate_hz * WINDOW_US / 1e6)))
        self.hop = self.n_fft // 2
        self.frame_us = self.hop / sample_rate_hz * 1e6
        self.bin_hz = sample_rate_hz / self.n_fft
        window = hann(self.n_fft)
        centred = np.where(np.arange(self.n_fft) % 2, -1.0, 1.0)
        scale = 1 / (full_scale * np.sqrt(np.sum(window**2)))
        self._spill = _spill(window)
        self._window = np.repeat(window * scale * centred, 2).astype(np.float32)
        self._batch = max(1, BATCH_CELLS // self.n_fft // BLOCK) * BLOCK
        self._power = np.empty((0, self.n_fft), np.float32)
        self._work = np.empty((self._batch, self.n_fft), np.complex64)

    def power(self, iq: Iq) -> tuple[Float32s, Float32s, Float32s]:
        """Power in squared full scales, shape (frames, n_fft), lowest frequency first; mean and maximum of its blocks.

        Those have the shape (frames // BLOCK, n_fft). The power holds until the next call.
        """
        flat = flat_samples(iq)
        frames = max(0, len(flat) // self.n_fft - 1)
        if len(self._power) < frames:
            self._power = np.empty((frames, self.n_fft), np.float32)
        power, blocks = self._power[:frames], frames // BLOCK
        level, top = np.empty((blocks, self.n_fft), np.float32), np.empty((blocks, self.n_fft), np.float32)
        for first in range(0, frames, self._batch):
            some, block = power[first : first + self._batch], first // BLOCK
            held = slice(block, block + len(some) // BLOCK)
            self._transform(flat[first * self.n_fft :], some, level[held], top[held])
        return power, level, top

    def spilled(self, level: Float32s) -> Float32s:
        """The part of each bin's level that leaks in from other bins through the window; 0.34 in white noise.

        Args: level the steady power of each bin, (n_fft,), lowest frequency first.
        """
        from_others = np.convolve(np.concatenate((level, level, level)), self._spill, mode="same")
        return (from_others[self.n_fft : 2 * self.n_fft] / np.maximum(level, 1e-30)).astype(np.float32)

    def _transform(self, flat: NDArray[np.int16] | Float32s, power: Float32s, level: Float32s, top: Float32s) -> None:
        """Compute `power` for some frames; a hop of samples is n_fft numbers, I and Q interleaved."""
        work = self._work[: len(power)]
        windowed(flat, self.n_fft, self._window, work.view(np.float32))
        squared_blocks(fft(work, out=work), power, level, top)
