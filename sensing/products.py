"""Measurement products as NTIA's sensors make them, in bounded memory however long the samples go on.

For each bin the mean, maximum and median power density; for each channel the amplitude probability distribution in 1 dB
bins, mean and maximum power of each 10 ms, and periodic-frame power: what each part of a 10 ms frame is like over all
frames. Source: NTIA TR-23-567 and its sensors' action `nasctn_sea_data_product`.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.frontend import Float32s, Iq, flat_samples, hann
from sensing.kernels import windowed
from sensing.productkernels import count_levels, frame_parts, scaled, spread_powers
from sensing.transform import fft
from sensing.values import Channel
from sensing.zoom import BATCH_SAMPLES, Zoom

FRAME_S: Final = 0.01
PARTS_MIN, PARTS_MAX = 64, 560
APD_LOW_DB, APD_HIGH_DB = -180, 20
DFT_MAX: Final = 4096
DETECTORS: Final = ("max-of-max", "mean-of-max", "min-of-max", "max-of-mean", "mean-of-mean", "min-of-mean")
CELL_SHIFT: Final = 19
COUNTS_APART: Final = 16
"""Offset between rows of counts: rows a power of two apart would share the same cache lines."""
_LEAST: Final = np.float32(2.0**-100)
CONTIGUOUS_NS: Final = 2_000
_NS: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSettings:
    """The tuning, the samples' full scale, the channels, and the bins of the spectrum to measure."""

    center_hz: float
    sample_rate_hz: float
    full_scale: float
    channels: tuple[Channel, ...]
    dft_size: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumProduct:
    """Power density of each bin, lowest first, relative to full scale per Hz, linear, shape (dft_size,).

    `low_hz` is relative to the centre. Statistics are over single transforms, `dfts` of them, without averaging; nan
    where there were none.
    """

    low_hz: float
    step_hz: float
    dfts: int
    enbw_hz: float
    mean: Float32s = field(repr=False)
    maximum: Float32s = field(repr=False)
    median: Float32s = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProduct:
    """The products of one channel, filtered to the channel, powers linear relative to full scale.

    `apd_percent[i]` is the share of samples above `APD_LOW_DB + i` dB. Frames begin at `frame_ns`; `power_mean` and
    `power_max` have one value each. `periodic`, shape (6, parts of a frame), has a row for each of DETECTORS; None
    where the channel is too narrow or no frame is complete.
    """

    channel: Channel
    rate_hz: float
    samples: int
    apd_percent: NDArray[np.float64] = field(repr=False)
    frame_ns: NDArray[np.int64] = field(repr=False)
    power_mean: Float32s = field(repr=False)
    power_max: Float32s = field(repr=False)
    periodic: Float32s | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """All products of one tuning; `seconds` is the duration measured, `overload` whether any of it was clipped."""

    settings: ProductSettings
    seconds: float
    overload: bool
    spectrum: SpectrumProduct
    channels: tuple[ChannelProduct, ...]


class ProductMaker:
    """Computes products from looks in time order; `products` may be called at any time."""

    def __init__(self, settings: ProductSettings) -> None:
        """Raises: sensing.zoom.ZoomImpossible for channels too narrow."""
        self.settings = settings
        self._spectrum = _Spectrum(settings)
        self._zoom = Zoom(
            center_hz=settings.center_hz, sample_rate_hz=settings.sample_rate_hz, channels=settings.channels
        )
        self._frames = _Frames(len(settings.channels), self._zoom.rate_hz)
        self._due_ns: int | None = None
        self._samples = 0
        self._overload = False

    def feed(self, iq: Iq, *, start_ns: int, usable: bool = True, overload: bool = False) -> None:
        """Take one look; an unusable one leaves a gap.

        Args: iq int16 (n, 2) or complex64 (n,), left as it is; what is no number counts as nothing.
        """
        rate = self.settings.sample_rate_hz
        if not usable:
            self._due_ns = None
            return
        joined = self._due_ns is not None and abs(start_ns - self._due_ns) <= CONTIGUOUS_NS
        self._due_ns = start_ns + round(len(iq) / rate * _NS)
        if not joined:
            self._spectrum.reset()
            self._zoom.reset()
            self._frames.begin(start_ns + round(self._zoom.guard / rate * _NS))
        z = self._complex(iq)
        self._spectrum.feed(z)
        self._frames.feed(self._zoom.powers(z))
        self._samples += len(iq)
        self._overload |= overload

    def _complex(self, iq: Iq) -> NDArray[np.complex64]:
        """The samples relative to full scale, in a buffer that the next call overwrites."""
        z = self._zoom.room(len(iq))
        scale = np.float32(self.settings.full_scale)
        if iq.dtype == np.complex64:
            np.divide(np.where(np.isfinite(iq), iq, np.complex64(0)).view(np.float32), scale, out=z.view(np.float32))
        else:
            scaled(flat_samples(iq), scale, z.view(np.float32))
        return z

    def products(self) -> Products:
        """The products so far."""
        settings = self.settings
        return Products(
            settings=settings,
            seconds=self._samples / settings.sample_rate_hz,
            overload=self._overload,
            spectrum=self._spectrum.product(),
            channels=tuple(self._frames.product(i, channel) for i, channel in enumerate(settings.channels)),
        )


class _Spectrum:
    """The spectrum: mean and maximum by sums, the median by each bin's histogram with 16 levels per octave."""

    STEPS: Final = 4
    LOWEST: Final = 127 - 80
    EXPONENTS: Final = 96

    def __init__(self, settings: ProductSettings) -> None:
        self._settings = settings
        self._size = min(settings.dft_size, DFT_MAX)
        window = hann(self._size)
        scaled = (window / np.sqrt(np.sum(window**2) * settings.sample_rate_hz)).astype(np.float32)
        self._window = np.repeat(scaled, 2)
        self._enbw_hz = float(settings.sample_rate_hz * np.sum(window**2) / np.sum(window) ** 2)
        self._levels = self.EXPONENTS << self.STEPS
        # One row for each level: noise takes few levels, so the changing counts lie close together in memory.
        self._counts = np.zeros((self._levels, self._size + COUNTS_APART), np.uint32)
        self._sum = np.zeros(self._size)
        self._max = np.zeros(self._size, np.float32)
        self._dfts = 0
        self._carry = np.zeros(0, np.complex64)
        self._pairs = np.empty((0, 2 * self._size), np.float32)

    def reset(self) -> None:
        self._carry = np.zeros(0, np.complex64)

    def feed(self, iq: NDArray[np.complex64]) -> None:
        z = np.concatenate((self._carry, iq)) if len(self._carry) else iq
        whole = len(z) // self._size
        self._carry = z[whole * self._size :].copy()
        flat = z.view(np.float32)
        batch = max(1, BATCH_SAMPLES // self._size)
        if len(self._pairs) < min(batch, whole):
            self._pairs = np.empty((min(batch, whole), 2 * self._size), np.float32)
        for first in range(0, whole, batch):
            some = self._pairs[: min(batch, whole - first)]
            windowed(flat[2 * first * self._size :], 2 * self._size, self._window, some)
            spectra = some.view(np.complex64)
            fft(spectra, out=spectra)
            spread_powers(spectra, 23 - self.STEPS, self.LOWEST << self.STEPS, self._counts, self._sum, self._max)
        self._dfts += whole

    def product(self) -> SpectrumProduct:
        settings = self._settings
        nothing = np.full(self._size, np.nan, np.float32)
        step = settings.sample_rate_hz / self._size
        return SpectrumProduct(
            low_hz=-settings.sample_rate_hz / 2,
            step_hz=step,
            dfts=self._dfts,
            enbw_hz=self._enbw_hz,
            mean=np.fft.fftshift((self._sum / self._dfts).astype(np.float32)) if self._dfts else nothing,
            maximum=np.fft.fftshift(self._max) if self._dfts else nothing,
            median=np.fft.fftshift(self._median()) if self._dfts else nothing,
        )

    def _median(self) -> Float32s:
        """The median of each bin, interpolated linearly between the edges of the level that contains it."""
        counts = self._counts[:, : self._size]
        summed = np.cumsum(counts, axis=0, dtype=np.int64)
        half = self._dfts / 2
        level = (summed < half).sum(axis=0)
        bins = np.arange(self._size)
        below = np.where(level > 0, summed[np.maximum(level - 1, 0), bins], 0)
        held = np.maximum(counts[level, bins], 1)
        edges = (np.arange(self._levels + 1, dtype=np.int32) + (self.LOWEST << self.STEPS)) << (23 - self.STEPS)
        powers = edges.view(np.float32).astype(np.float64)
        inside = (half - below) / held
        median: Float32s = (powers[level] + (powers[level + 1] - powers[level]) * inside).astype(np.float32)
        return median


def _apd_level(power: Float32s) -> NDArray[np.int16]:
    """The 1 dB bin of the APD for each power; the first and the last include all beyond."""
    level = np.floor(10 * np.log10(np.maximum(power, _LEAST))) - APD_LOW_DB
    bins: NDArray[np.int16] = np.clip(np.nan_to_num(level, nan=np.inf), 0, APD_HIGH_DB - APD_LOW_DB).astype(np.int16)
    return bins


@cache
def _apd_cells() -> tuple[NDArray[np.int16], Float32s]:
    """For each cell of a float's exponent and first bits: the level at its lower end, and where the next begins.

    A cell is a sixteenth of an octave and more, a level a third of one: no cell holds two edges.
    """
    first = np.arange(1 << (31 - CELL_SHIFT), dtype=np.int32) << CELL_SHIFT
    low, high = first.copy(), first + ((1 << CELL_SHIFT) - 1)
    below = _apd_level(first.view(np.float32))
    crossed = _apd_level(high.view(np.float32)) > below
    while (high - low > 1).any():
        middle = low + (high - low) // 2
        over = _apd_level(middle.view(np.float32)) > below
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return below, np.where(crossed, high.view(np.float32), np.float32(np.inf))


class _Frames:
    """Cuts the powers of all channels, shape (channels, n), into frames of FRAME_S, none of which spans a gap."""

    def __init__(self, channels: int, rate_hz: float) -> None:
        self._rate_hz, self._channels = rate_hz, channels
        self._length = FRAME_S * rate_hz
        parts = int(min(PARTS_MAX, self._length // 2))
        self.parts = parts if parts >= PARTS_MIN else (PARTS_MIN if self._length >= PARTS_MIN else 0)
        self._apd = np.zeros((channels, APD_HIGH_DB - APD_LOW_DB + 1), np.int64)
        self._held: list[Float32s] = []
        self._have = 0
        self._start_ns = 0
        self._at: list[int] = []
        self._mean: list[Float32s] = []
        self._max: list[Float32s] = []
        self._count = 0
        self._samples = 0
        self._periodic = np.zeros((2, 3, channels, max(1, self.parts)))
        self._periodic[:, 2] = np.inf

    def begin(self, start_ns: int) -> None:
        """Begin a new stretch; the incomplete frame of the last one is dropped."""
        self._held.clear()
        self._have = 0
        self._start_ns = start_ns

    def feed(self, power: Float32s) -> None:
        """Take the next powers of the stretch."""
        if not power.shape[1]:
            return
        self._count_levels(power)
        if self._length < 1:
            return
        self._held.append(power)
        self._have += power.shape[1]
        if self._have < self._length:
            return
        joined = np.concatenate(self._held, axis=1)
        first, number = 0, 0
        while (end := round((number + 1) * self._length)) <= joined.shape[1]:
            self._frame(joined, first, end, self._start_ns + round(number * FRAME_S * _NS))
            first, number = end, number + 1
        self._start_ns += round(number * FRAME_S * _NS)
        self._held = [joined[:, first:].copy()]
        self._have = joined.shape[1] - first

    def _count_levels(self, power: Float32s) -> None:
        count_levels(power, CELL_SHIFT, *_apd_cells(), self._apd)
        self._samples += power.shape[1]

    def _frame(self, power: Float32s, first: int, end: int, start_ns: int) -> None:
        """Add the frame that lies from `first` to `end`."""
        parts = max(1, self.parts)
        edges = first + np.round(np.arange(parts + 1) * ((end - first) / parts)).astype(np.int64)
        mean, peak = np.empty(self._channels, np.float32), np.empty(self._channels, np.float32)
        found = np.empty((2, self._channels, parts))
        frame_parts(power, edges, mean, peak, found[1], found[0])
        self._at.append(start_ns)
        self._mean.append(mean)
        self._max.append(peak)
        if not self.parts:
            return
        self._count += 1
        for kind, value in enumerate(found):
            held = self._periodic[kind]
            np.maximum(held[0], value, out=held[0])
            held[1] += value
            np.minimum(held[2], value, out=held[2])

    def product(self, index: int, channel: Channel) -> ChannelProduct:
        """The products of one channel."""
        above = self._apd[index][::-1].cumsum()[::-1]
        periodic: Float32s | None = None
        if self.parts and self._count:
            rows = self._periodic[:, :, index].copy()
            rows[:, 1] /= self._count
            periodic = rows.reshape(len(DETECTORS), -1).astype(np.float32)
        series = [np.array([one[index] for one in held], np.float32) for held in (self._mean, self._max)]
        return ChannelProduct(
            channel=channel,
            rate_hz=self._rate_hz,
            samples=self._samples,
            apd_percent=100 * above / max(1, self._samples),
            frame_ns=np.array(self._at, np.int64),
            power_mean=series[0],
            power_max=series[1],
            periodic=periodic,
        )
