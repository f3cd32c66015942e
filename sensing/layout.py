"""Assigns FFT bins to channels, in groups narrow enough to show the shape of the band."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sensing.frontend import Float32s
from sensing.theory import hann_sum_shape
from sensing.values import Channel

GROUPS_ALL: Final = 48
"""Number of groups shared among the channels; each has from four to forty, as far as there are bins."""
GROUPS_PER_CHANNEL: Final = (4, 40)
GROUPS_MOST: Final = 200
"""Most groups of many channels together, to bound the work for each sample; of more channels each is one group."""
GUARD_GROUPS_MAX: Final = 16
BINS_PER_GROUP_MIN: Final = 2
SHORT_LOOK_BINS: Final = (256, 1024)
"""Least and most bins per frame where looks are short."""
SHORT_LOOK_FRAME_S: Final = 1e-4
CHANNEL_BINS_LEAST: Final = 5
DC_BINS: Final = 3
"""Bins around the tuned frequency that a DC offset fills under a Hann window."""


class LayoutSettings(Protocol):
    """The settings that a layout is made from."""

    @property
    def center_hz(self) -> float:
        """Centre frequency of the received band, Hz."""
        ...

    @property
    def sample_rate_hz(self) -> float:
        """Sample rate, complex samples per second."""
        ...

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels to decide on."""
        ...

    @property
    def bandwidth_hz(self) -> float | None:
        """Analogue bandwidth in Hz; None for the whole sample rate."""
        ...

    @property
    def fft_size(self) -> int:
        """Number of bins in a frame."""
        ...


class ChannelOutside(ValueError):
    """A channel is not wholly inside the received band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandLayout:
    """`weights` shape (fft_size, groups); `shapes` the independent averages a frame gives each group, `bins` its bins.

    `members[i]` are the groups of channel i, `channel_shapes[i]` what a frame gives the whole of it. After those of the
    channels come the guard groups: the rest of the band, which no channel holds. `trusted` groups lie inside the
    analogue bandwidth; `centers_hz` are from the middle of the band; channels in `over_dc` hold the tuned frequency.
    `held` are the members of all channels, one channel's after the other's, and `starts` where each one's begin.
    """

    weights: Float32s
    shapes: NDArray[np.float64]
    bins: NDArray[np.float64]
    centers_hz: NDArray[np.float64]
    members: tuple[NDArray[np.intp], ...]
    channel_shapes: tuple[float, ...]
    trusted: NDArray[np.bool_]
    over_dc: tuple[bool, ...]
    held: NDArray[np.intp]
    starts: NDArray[np.intp]

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.shapes)


def short_look_bins(sample_rate_hz: float, channels: Sequence[Channel]) -> int:
    """Bins of a frame no longer than a block of 0.1 ms, or more where a channel would have too few bins.

    A look of 2.25 ms then has the sixteen blocks that a floor is told from, from 2 MS/s on; of frames of 1024 bins it
    would have four.
    """
    size, most = SHORT_LOOK_BINS
    narrowest = min((channel.width_hz for channel in channels), default=sample_rate_hz)
    while size < most and (
        2 * size <= sample_rate_hz * SHORT_LOOK_FRAME_S or narrowest * size < CHANNEL_BINS_LEAST * sample_rate_hz
    ):
        size *= 2
    return size


def lay_out(band: LayoutSettings) -> BandLayout:
    """Divide the channels and the rest of the band into groups of bins; the DC offset's bins belong to none.

    Raises: ChannelOutside.
    """
    bin_hz = band.sample_rate_hz / band.fft_size
    edges = band.center_hz - band.sample_rate_hz / 2 + np.arange(band.fft_size) * bin_hz
    dc = np.abs(np.arange(band.fft_size) - band.fft_size // 2) <= DC_BINS // 2
    parts: list[NDArray[np.intp]] = []
    members: list[NDArray[np.intp]] = []
    whole: list[float] = []
    over_dc: list[bool] = []
    taken = dc.copy()
    least, most = GROUPS_PER_CHANNEL
    wanted = min(most, max(min(least, GROUPS_MOST // max(1, len(band.channels))), GROUPS_ALL // len(band.channels), 1))
    for channel in band.channels:
        inside = (edges >= channel.low_hz - bin_hz / 2) & (edges < channel.high_hz - bin_hz / 2)
        bins = np.flatnonzero(inside & ~dc)
        if len(bins) < BINS_PER_GROUP_MIN or not _inside(channel, band):
            raise ChannelOutside(_why_outside(channel, band))
        taken |= inside
        over_dc.append(bool((inside & dc).any()))
        whole.append(hann_sum_shape(len(bins)))
        cut = _cut(bins, wanted)
        members.append(np.arange(len(parts), len(parts) + len(cut)))
        parts += cut
    parts += _guards(~taken)
    half = (band.bandwidth_hz or band.sample_rate_hz) / 2 + bin_hz
    trusted = np.array([bool(np.all(np.abs(edges[part] - band.center_hz) <= half)) for part in parts])
    weights = np.zeros((band.fft_size, len(parts)), np.float32)
    for column, part in enumerate(parts):
        weights[part, column] = 1 / len(part)
    return BandLayout(
        weights=weights,
        shapes=np.array([hann_sum_shape(len(part)) for part in parts]),
        bins=np.array([float(len(part)) for part in parts]),
        centers_hz=np.array([float(edges[part].mean()) - band.center_hz for part in parts]),
        members=tuple(members),
        channel_shapes=tuple(whole),
        trusted=trusted if trusted.any() else np.ones(len(parts), np.bool_),
        over_dc=tuple(over_dc),
        held=np.concatenate(members),
        starts=np.cumsum([0, *(len(one) for one in members[:-1])]),
    )


def _cut(bins: NDArray[np.intp], wanted: int) -> list[NDArray[np.intp]]:
    """The bins in at most `wanted` groups of neighbours, none across a hole."""
    runs = [run for run in np.split(bins, np.flatnonzero(np.diff(bins) > 1) + 1) if len(run)]
    cut: list[NDArray[np.intp]] = []
    for run in runs:
        count = max(1, min(round(wanted * len(run) / len(bins)), len(run) // BINS_PER_GROUP_MIN))
        cut += np.array_split(run, count)
    return cut


def _guards(free: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The bins outside all channels, in groups of two or more, those at the band's edges the smallest."""
    bins = np.flatnonzero(free)
    if len(bins) < BINS_PER_GROUP_MIN:
        return []
    return [group for group in _cut(bins, GUARD_GROUPS_MAX) if len(group) >= BINS_PER_GROUP_MIN]


def _why_outside(channel: Channel, band: LayoutSettings) -> str:
    low, high = band.center_hz - band.sample_rate_hz / 2, band.center_hz + band.sample_rate_hz / 2
    return (
        f"channel {channel.low_hz / 1e6:g}-{channel.high_hz / 1e6:g} MHz does not fit the received band "
        f"{low / 1e6:g}-{high / 1e6:g} MHz in {band.sample_rate_hz / band.fft_size / 1e3:g} kHz bins: "
        "choose a channel inside it"
    )


def _inside(channel: Channel, band: LayoutSettings) -> bool:
    half = band.sample_rate_hz / 2
    slack = band.sample_rate_hz / band.fft_size
    return channel.low_hz >= band.center_hz - half - slack and channel.high_hz <= band.center_hz + half + slack
