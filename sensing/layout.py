"""Which bins make up which channel, in groups small enough to see the shape of the band."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sensing.frontend import Float32s
from sensing.theory import hann_sum_shape
from sensing.values import Channel

GROUPS_PER_CHANNEL_MAX: Final = 16
BINS_PER_GROUP_MIN: Final = 2


class Band(Protocol):
    """What the layout needs to know of the settings."""

    @property
    def center_hz(self) -> float:
        """Middle of the received band."""
        ...

    @property
    def sample_rate_hz(self) -> float:
        """Complex samples a second."""
        ...

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What is to be told apart."""
        ...

    @property
    def bandwidth_hz(self) -> float | None:
        """Analogue bandwidth, or None for all of it."""
        ...

    @property
    def fft_size(self) -> int:
        """Bins in a frame."""
        ...


class ChannelOutside(ValueError):
    """A channel is not, or not wholly, inside the band that is received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandLayout:
    """`weights` shape (fft_size, groups); `shapes` the independent averages a frame gives each group.

    `members[i]` are the groups of channel i, `channel_shapes[i]` what a frame gives the whole of it, `trusted` those
    groups that lie inside the analogue bandwidth.
    """

    weights: Float32s
    shapes: NDArray[np.float64]
    members: tuple[NDArray[np.intp], ...]
    channel_shapes: tuple[float, ...]
    trusted: NDArray[np.bool_]

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.shapes)


def lay_out(band: Band) -> BandLayout:
    """Cut the channels into groups of bins, leaving out the bins that hold the receiver's own offset."""
    bin_hz = band.sample_rate_hz / band.fft_size
    edges = band.center_hz - band.sample_rate_hz / 2 + (np.arange(band.fft_size) + 0.0) * bin_hz
    dc = np.abs(np.arange(band.fft_size) - band.fft_size // 2) <= 1
    columns: list[Float32s] = []
    shapes: list[float] = []
    members: list[NDArray[np.intp]] = []
    trusted: list[bool] = []
    whole: list[float] = []
    half = (band.bandwidth_hz or band.sample_rate_hz) / 2 + bin_hz
    for channel in band.channels:
        bins = np.flatnonzero((edges >= channel.low_hz - bin_hz / 2) & (edges < channel.high_hz - bin_hz / 2) & ~dc)
        if len(bins) < BINS_PER_GROUP_MIN or not _inside(channel, band):
            raise ChannelOutside(_why_outside(channel, band))
        count = max(1, min(GROUPS_PER_CHANNEL_MAX, len(bins) // BINS_PER_GROUP_MIN))
        whole.append(hann_sum_shape(len(bins)))
        members.append(np.arange(len(columns), len(columns) + count))
        for part in np.array_split(bins, count):
            column = np.zeros(band.fft_size, np.float32)
            column[part] = 1 / len(part)
            columns.append(column)
            shapes.append(hann_sum_shape(len(part)))
            trusted.append(bool(np.all(np.abs(edges[part] - band.center_hz) <= half)))
    if not any(trusted):
        trusted = [True] * len(trusted)
    return BandLayout(
        weights=np.ascontiguousarray(np.stack(columns, axis=1)),
        shapes=np.array(shapes),
        members=tuple(members),
        channel_shapes=tuple(whole),
        trusted=np.array(trusted),
    )


def _why_outside(channel: Channel, band: Band) -> str:
    low, high = band.center_hz - band.sample_rate_hz / 2, band.center_hz + band.sample_rate_hz / 2
    return (
        f"channel {channel.low_hz / 1e6:g}-{channel.high_hz / 1e6:g} MHz does not fit the received band "
        f"{low / 1e6:g}-{high / 1e6:g} MHz in {band.sample_rate_hz / band.fft_size / 1e3:g} kHz bins: "
        "choose a channel inside it"
    )


def _inside(channel: Channel, band: Band) -> bool:
    half = band.sample_rate_hz / 2
    slack = band.sample_rate_hz / band.fft_size
    return channel.low_hz >= band.center_hz - half - slack and channel.high_hz <= band.center_hz + half + slack
