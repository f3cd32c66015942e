"""Single pulses in short-time spectra: isolated in time, over a background taken from both sides of them.

The spectra have bins of about half a megahertz and frames every microsecond, so a cell is close to the 1 MHz filter the
radar classes are specified in. The background of a cell is the larger of what surrounds it before and after and the
quiet level of its bin, so that neither the start nor the end of a long emission looks like a pulse.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from sensing.frontend import BATCH_SAMPLES, Float32s, Iq, flat_samples, hann
from sensing.theory import gamma_quantile

FRAME_US: Final = 2.0
BLOCK: Final = 8
SIDE_BLOCKS: Final = 4
GUARD_BLOCKS: Final = 2
THRESHOLD: Final = 10 ** (12 / 10)
STEP: Final = 4.0
EVENT_GAP: Final = 2
EVENTS_MAX: Final = 256
WIDTH_FLOOR: Final = 4.0
"""A bin belongs to a pulse when it rises this many times the background above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """One pulse: `time_us` of its centre since the start of the samples, its extent, peak SNR in about 1 MHz.

    `slope_mhz_per_us` is how its frequency moves; frequencies are relative to the receiver's centre.
    """

    time_us: float
    duration_us: float
    low_hz: float
    high_hz: float
    peak_hz: float
    snr_db: float
    slope_mhz_per_us: float


class PulseFinder:
    """Finds pulses in stretches of samples taken at one setting."""

    def __init__(self, *, sample_rate_hz: float, full_scale: float) -> None:
        """Args: full_scale in the units of the samples."""
        self.n_fft = max(4, fft.next_fast_len(round(sample_rate_hz * FRAME_US / 2e6)) * 2)
        self.hop = self.n_fft // 2
        self.frame_us = self.hop / sample_rate_hz * 1e6
        self.bin_hz = sample_rate_hz / self.n_fft
        window = hann(self.n_fft)
        centred = np.where(np.arange(self.n_fft) % 2, -1.0, 1.0)
        scale = 1 / (full_scale * np.sqrt(np.sum(window**2)))
        self._window = (window * scale * centred).astype(np.float32)
        self._batch = max(BLOCK, BATCH_SAMPLES // self.n_fft // BLOCK * BLOCK)
        self._work = np.empty((self._batch, self.n_fft), np.complex64)
        self._quiet = gamma_quantile(shape=BLOCK, q=0.25)

    def find(self, iq: Iq) -> tuple[Pulse, ...]:
        """Pulses in the order of time.

        Args: iq int16 (n, 2) or complex64 (n,); the first and last 30 microseconds serve as background only.
        """
        power = self.spectrogram(iq)
        blocks = len(power) // BLOCK
        if blocks < 2 * (GUARD_BLOCKS + SIDE_BLOCKS):
            return ()
        cells = power[: blocks * BLOCK].reshape(blocks, BLOCK, self.n_fft)
        background, edges = self._background(cells.mean(axis=1))
        fires = cells > (THRESHOLD * background)[:, None, :]
        fires[edges] = False
        block, frame, _ = np.nonzero(fires)
        return self._pulses(block * BLOCK + frame, power, background)

    def spectrogram(self, iq: Iq) -> Float32s:
        """Power in squared full scales, shape (frames, n_fft), lowest frequency first."""
        flat = flat_samples(iq)
        frames = len(flat) // 2 // self.hop - 1
        if frames < 1:
            return np.zeros((0, self.n_fft), np.float32)
        power = np.empty((frames, self.n_fft), np.float32)
        for first in range(0, frames, self._batch):
            count = min(self._batch, frames - first)
            self._transform(flat[2 * first * self.hop :], power[first : first + count])
        return power

    def _transform(self, flat: NDArray[np.int16] | Float32s, power: Float32s) -> None:
        count = len(power)
        work = self._work[:count]
        halves = flat[: 2 * (count + 1) * self.hop].reshape(count + 1, 2 * self.hop)
        pairs = work.view(np.float32).reshape(count, 2, 2 * self.hop)
        window = np.repeat(self._window, 2).reshape(2, 2 * self.hop)
        np.multiply(halves[:-1], window[0], out=pairs[:, 0], casting="unsafe")
        np.multiply(halves[1:], window[1], out=pairs[:, 1], casting="unsafe")
        spectrum = fft.fft(work, axis=-1, overwrite_x=True).view(np.float32)
        np.multiply(spectrum, spectrum, out=spectrum)
        np.add(spectrum[:, 0::2], spectrum[:, 1::2], out=power)

    def _background(self, level: Float32s) -> tuple[Float32s, NDArray[np.bool_]]:
        """Background of shape (blocks, n_fft), infinite where a side is missing; and which blocks are at an edge."""
        blocks = len(level)
        sides = _sliding_median(level)
        before = np.full_like(level, np.inf)
        after = np.full_like(level, np.inf)
        first = GUARD_BLOCKS + SIDE_BLOCKS - 1
        before[first:] = sides[: blocks - first]
        after[: blocks - first] = sides[GUARD_BLOCKS:][: blocks - first]
        quiet = np.quantile(level, 0.25, axis=0).astype(np.float32) / np.float32(self._quiet)
        seen = np.isfinite(before) & np.isfinite(after) & (quiet > 0)
        lower = np.where(seen, np.minimum(before, after), 1)
        upper = np.where(seen, np.maximum(before, after), 1)
        edges = np.count_nonzero(upper > STEP * lower, axis=1) >= 2
        return np.where(seen, np.maximum(upper, quiet), np.inf).astype(np.float32), edges

    def _pulses(self, frames: NDArray[np.intp], power: Float32s, background: Float32s) -> tuple[Pulse, ...]:
        if len(frames) == 0:
            return ()
        starts = np.flatnonzero(np.diff(frames, prepend=frames[0] - EVENT_GAP - 1) > EVENT_GAP)
        ends = np.append(starts[1:], len(frames))
        return tuple(
            self._pulse(int(frames[a]), int(frames[b - 1]) + 1, power, background)
            for a, b in zip(starts[:EVENTS_MAX], ends[:EVENTS_MAX], strict=True)
        )

    def _pulse(self, first: int, last: int, power: Float32s, background: Float32s) -> Pulse:
        low, high = max(0, first - 1), min(len(power), last + 1)
        level = background[(first + last) // 2 // BLOCK]
        excess = np.maximum(power[low:high] - level, 0)
        hold = excess.max(axis=0)
        top = int(hold.argmax())
        strong = _around(hold > np.maximum(hold[top] / 10, WIDTH_FLOOR * level), top)
        rows = excess.max(axis=1)
        long = np.count_nonzero(rows > rows.max() / 6)
        weights = np.where(
            excess > np.minimum(np.maximum(hold[top] / 10, WIDTH_FLOOR * level), hold[top] / 2), excess, 0
        )
        weights[:, : strong[0]] = 0
        weights[:, strong[-1] + 1 :] = 0
        times = np.arange(low, high)
        centre = float(times @ weights.sum(axis=1) / max(weights.sum(), 1e-30))
        return Pulse(
            time_us=(centre + 1) * self.frame_us,
            duration_us=max(0.5, (int(long) - 1) * self.frame_us),
            low_hz=self._hz(int(strong[0])) - self.bin_hz / 2,
            high_hz=self._hz(int(strong[-1])) + self.bin_hz / 2,
            peak_hz=self._hz(top),
            snr_db=float(10 * np.log10(hold[top] / level[top])),
            slope_mhz_per_us=self._slope(times - centre, weights),
        )

    def _hz(self, index: int) -> float:
        return (index - self.n_fft // 2) * self.bin_hz

    def _slope(self, times: NDArray[np.floating], weights: Float32s) -> float:
        total = weights.sum(axis=1)
        lit = total > 0
        bins = weights[lit] @ np.arange(self.n_fft) / total[lit]
        t, w = times[lit], total[lit]
        spread = float(w @ t**2)
        if np.count_nonzero(lit) < 3 or spread == 0:
            return 0.0
        return float(w @ (t * (bins - (w @ bins) / w.sum())) / spread) * self.bin_hz / 1e6 / self.frame_us


def _around(strong: NDArray[np.bool_], top: int) -> NDArray[np.intp]:
    """Indices of the run of strong bins that holds `top`, one weak bin allowed in between."""
    where = np.flatnonzero(strong)
    runs = np.split(where, np.flatnonzero(np.diff(where) > 2) + 1)
    return next((run for run in runs if top in run), np.array([top]))


def _sliding_median(level: Float32s) -> Float32s:
    """Median over every `SIDE_BLOCKS` = 4 consecutive blocks: the mean of the middle two."""
    rows = [level[i : len(level) - SIDE_BLOCKS + 1 + i] for i in range(SIDE_BLOCKS)]
    total = rows[0] + rows[1] + rows[2] + rows[3]
    highest = np.maximum(np.maximum(rows[0], rows[1]), np.maximum(rows[2], rows[3]))
    lowest = np.minimum(np.minimum(rows[0], rows[1]), np.minimum(rows[2], rows[3]))
    return ((total - highest - lowest) / 2).astype(np.float32)
