"""Extracts several channels from one sample stream at lower rates: fast convolution, one long FFT for all.

Overlap-save: transforms of `length` samples overlap by twice `guard`; a channel is the bins around its centre, weighted
by a filter whose power falls as a raised cosine about the channel's edges, so that the noise bandwidth is the channel's
width; transformed back at the lower rate, samples within `guard` of an end are discarded, because they wrap round.
Powers are kept, phases between blocks are not.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil, log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.productkernels import middle_powers, picked_bins
from sensing.transform import fft, ifft
from sensing.values import Channel

OVERSAMPLED: Final = 1.25
"""The lower rate is at least so many times the width of the widest channel."""
SLOPE_SHARE: Final = 1 / 16
"""Width of the filter's slope at each channel edge, as a share of the channel's width."""
RESPONSE_LENGTHS: Final = 16
"""Length of the FFT in inverses of the filter's slope, so that little of the response wraps round; a
quarter of that is left out at each end."""
LENGTHENED: Final = 2
"""Factor on the FFT's length, so that less of each block is discarded."""
LENGTH_MIN, LENGTH_MAX = 2048, 1 << 21
BATCH_SAMPLES: Final = 1 << 16
"""Samples transformed at once: several rows fill the processor's registers, and all fits in cache."""
NOTCH_BINS: Final = 1
"""Number of bins on each side of the receiver's DC offset that no channel uses."""


class ZoomImpossible(ValueError):
    """A channel is too narrow for the longest transform; the message says how wide it has to be."""


class Zoom:
    """Takes contiguous samples and returns the channels' samples at the rate `rate_hz`."""

    def __init__(self, *, center_hz: float, sample_rate_hz: float, channels: Sequence[Channel]) -> None:
        """Args: channels inside the received band.

        Raises: ZoomImpossible for channels too narrow.
        """
        widest = max(c.width_hz for c in channels)
        steps = int(max(0.0, log2(max(1.0, sample_rate_hz / (OVERSAMPLED * widest)))))
        self._down = 1 << steps
        self.rate_hz = sample_rate_hz / self._down
        needed = RESPONSE_LENGTHS * sample_rate_hz / (SLOPE_SHARE * min(c.width_hz for c in channels))
        least = 1 << max(ceil(log2(LENGTH_MIN)), ceil(log2(needed)))
        if least > LENGTH_MAX:
            wide_hz = widest * least / LENGTH_MAX
            raise ZoomImpossible(f"channels of {widest:g} Hz are too narrow here: choose {wide_hz:.3g} Hz or more")
        self.length = length = min(LENGTH_MAX, 1 << max(ceil(log2(LENGTH_MIN)), ceil(log2(LENGTHENED * needed))))
        self.guard = ceil(needed / 4 / self._down) * self._down
        """Samples discarded at each end of a stretch: `powers` begins after them."""
        self._short = length // self._down
        self._room = np.empty(0, np.complex64)
        self._carried = 0
        bins = [self._bins(c, center_hz, sample_rate_hz) for c in channels]
        self._at = np.stack([at for at, _ in bins])
        self._weights = np.stack([weight for _, weight in bins]).astype(np.float32)
        self._runs = _runs(self._at, self._weights)

    def _bins(self, channel: Channel, center_hz: float, rate_hz: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The FFT bins of a channel and the filter's weight of each, in the order of the inverse FFT."""
        middle = (channel.low_hz + channel.high_hz) / 2 - center_hz
        step = rate_hz / self.length
        nearest = round(middle / step)
        order = np.fft.fftfreq(self._short, 1 / self._short).round().astype(np.intp)
        away = np.abs((nearest + order) * step - middle)
        slope = max(SLOPE_SHARE * channel.width_hz, 2 * step)
        fall = np.clip((away - channel.width_hz / 2) / slope + 0.5, 0.0, 1.0)
        weight = np.cos(np.pi / 2 * fall)
        weight[np.abs(nearest + order) <= NOTCH_BINS] = 0.0
        inside = np.abs(nearest + order) < self.length // 2
        return (nearest + order) % self.length, np.where(inside, weight, 0.0)

    def reset(self) -> None:
        """Drop the samples held back, as after a gap."""
        self._carried = 0

    def room(self, samples: int) -> NDArray[np.complex64]:
        """A buffer for the next samples behind those held back: samples written there are not copied."""
        whole = self._carried + samples
        if len(self._room) < whole:
            room = np.empty(whole, np.complex64)
            room[: self._carried] = self._room[: self._carried]
            self._room = room
        return self._room[self._carried : whole]

    def feed(self, iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """The channels' samples, shape (channels, n), less `guard` input samples at each end."""
        first, keep = self.guard // self._down, self._keep
        kept = [parts[:, :, first : first + keep].copy() for parts in self._blocks(iq)]
        joined = np.concatenate(kept) if kept else np.empty((0, len(self._at), keep), np.complex64)
        scale = np.float32(1 / self._down)
        return joined.transpose(1, 0, 2).reshape(len(self._at), -1) * scale

    def powers(self, iq: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Squared magnitudes of the samples that `feed` would return, shape (channels, n), without making these."""
        out = np.empty((len(self._at), self._count(self._carried + len(iq)) * self._keep), np.float32)
        at = 0
        for parts in self._blocks(iq):
            middle_powers(parts, self.guard // self._down, self._keep, np.float32(1 / self._down), out, at)
            at += len(parts) * self._keep
        return out

    @property
    def _keep(self) -> int:
        """Number of samples of a channel that are kept of each block."""
        return self._short - 2 * self.guard // self._down

    def _count(self, samples: int) -> int:
        """Number of blocks in that many samples."""
        return max(0, (samples - 2 * self.guard) // (self.length - 2 * self.guard))

    def _blocks(self, iq: NDArray[np.complex64]) -> Iterator[NDArray[np.complex64]]:
        """The channels' samples block by block, wrapped ends included, shape (blocks, channels, n), a few at a time.

        What is handed out is written over by the next.
        """
        z = self._joined(iq)
        hop, count = self.length - 2 * self.guard, self._count(len(z))
        most = max(1, BATCH_SAMPLES // self.length)
        spectra = np.empty((min(most, count), self.length), np.complex64)
        parts = np.empty((len(spectra), *self._at.shape), np.complex64)
        frames = np.lib.stride_tricks.as_strided(z, (count, self.length), (hop * z.itemsize, z.itemsize))
        for first in range(0, count, most):
            some = frames[first : first + most]
            fft(some, out=spectra[: len(some)])
            picked_bins(spectra[: len(some)], self._runs, self._weights, parts[: len(some)])
            yield ifft(parts[: len(some)], out=parts[: len(some)])
        self._carried = len(z) - count * hop
        self._room[: self._carried] = z[count * hop :].copy()

    def _joined(self, iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """The samples held back followed by the new ones, in a reused buffer."""
        room = self.room(len(iq))
        if room.ctypes.data != iq.ctypes.data:
            room[:] = iq
        return self._room[: self._carried + len(iq)]


def _runs(at: NDArray[np.intp], weights: NDArray[np.float32]) -> NDArray[np.int64]:
    """Bins that are neighbours in their channel, and in the transform too or all without weight: see `picked_bins`."""
    found: list[tuple[int, int, int, int]] = []
    for channel, (places, weight) in enumerate(zip(at, weights, strict=True)):
        used = np.where(weight != 0, places, -1)
        step = np.diff(used)
        broken = np.flatnonzero(np.where(used[1:] < 0, used[:-1] >= 0, (step != 1) | (used[:-1] < 0))) + 1
        firsts = [0, *broken.tolist(), len(used)]
        found += [(channel, first, int(used[first]), last - first) for first, last in pairwise(firsts)]
    return np.array(found, np.int64)
