"""From looks at a band to what can be said about its channels.

A look is a stretch of samples taken at one setting. It is cut into blocks of about 0.1 ms; a block in which a channel
carries more power than noise explains counts as busy. The floor is the quietest level that lasted: over the blocks of a
look, over the groups of bins of a band, and over the recent looks.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.pulses import PulseFinder
from sensing.detectors.radar import Incumbent, RadarDetector, Stretch
from sensing.flags import UNUSABLE, VOIDING, WIDENING, SampleFlag
from sensing.frontend import Float32s, FrontEnd, Iq
from sensing.incumbents import IncumbentLog
from sensing.layout import BandLayout, lay_out
from sensing.occupancy import DetectorRates, channel_occupancy, outage_widened, spectrum_resource_occupancy
from sensing.results import ChannelLook, ChannelReport, ChannelState, LookResult, SurveyReport, SurveySettings
from sensing.rhythm import Period, find_period, valley_db
from sensing.samples import CONSTANT_ENVELOPE, LOUD_FLOOR, Quality, finite, inspect
from sensing.theory import energy_threshold, f_threshold, snr_wall_db
from sensing.tracker import FloorTracker
from sensing.values import Channel, Interval, Level

__all__ = [
    "ChannelLook",
    "ChannelReport",
    "ChannelState",
    "LookResult",
    "Survey",
    "SurveyReport",
    "SurveySettings",
]

BURSTY_DB: Final = 6.0
"""A channel whose blocks spread over more than this is used in bursts."""
Span = tuple[int, int]
"""From, up to and not including, in ns of the looks' clock."""
NOTHING_APART: Final[Mapping[Channel, Sequence[Span]]] = MappingProxyType({})
HISTORY_BLOCKS: Final = 1 << 17
FLAG_LOOKS: Final = 4096
FREE_HIGH_MAX: Final = 0.5
"""A channel whose occupancy may be this high is not called free, however little was seen in it."""
CONTIGUOUS_NS: Final = 2_000


class Survey:
    """Takes looks, one after the other, and reports on the channels at any time."""

    def __init__(self, settings: SurveySettings) -> None:
        self.settings = settings
        self._layout: BandLayout = lay_out(settings)
        self._frames = max(1, round(settings.block_us * 1e-6 * settings.sample_rate_hz / settings.fft_size))
        self._front = FrontEnd(
            n_fft=settings.fft_size,
            full_scale=settings.full_scale,
            frames=self._frames,
            groups=self._layout.weights,
        )
        self._finder = PulseFinder(sample_rate_hz=settings.sample_rate_hz, full_scale=settings.full_scale)
        self._radar = RadarDetector(band_hz=settings.sample_rate_hz)
        self._floor = FloorTracker(self._layout, frames=self._frames, flatness_db=settings.flatness_db)
        self._history: deque[NDArray[np.float64]] = deque()
        self._history_ns: deque[int] = deque()
        self._kept = 0
        self._gaps = False
        self._ended_ns: int | None = None
        self._look_flags: deque[SampleFlag] = deque(maxlen=FLAG_LOOKS)
        self._incumbents = IncumbentLog(settings.incumbent_bands)
        self._looks = 0
        self._psd_sum = np.zeros(settings.fft_size)
        self._psd_frames = 0
        self._peak = np.zeros(settings.fft_size, np.float32)

    def feed(self, iq: Iq, *, start_ns: int, flags: SampleFlag = SampleFlag.NONE) -> LookResult:
        """Take one look.

        Args: iq int16 (n, 2) or complex64 (n,), left as it is; start_ns of its first sample on any steady clock.
        """
        clean, bad = finite(iq)
        quality = inspect(clean, full_scale=self.settings.full_scale)
        flags |= bad | quality.flags
        if self.settings.calibration is None:
            flags |= SampleFlag.UNCALIBRATED
        end_ns = start_ns + round(len(iq) / self.settings.sample_rate_hz * 1e9)
        contiguous = self._ended_ns is not None and abs(start_ns - self._ended_ns) <= CONTIGUOUS_NS
        contiguous = contiguous and not flags & (SampleFlag.GAP | UNUSABLE | SampleFlag.GAIN_STEP)
        self._gaps |= self._looks > 0 and not contiguous
        self._ended_ns = end_ns
        if flags & SampleFlag.GAIN_STEP:
            self._floor.reset()
        if not contiguous:
            self._front.reset()
        self._front.feed(clean)
        spectra = self._front.take()
        usable = not flags & UNUSABLE and len(spectra.groups) > 0
        if usable:
            self._history_ns.append(start_ns)
            self._learn(spectra.groups.astype(np.float64), spectra.mean, spectra.peak, spectra.frames)
        flags |= self._full_band(quality, spectra.groups) if usable else SampleFlag.NONE
        incumbents = self._pulses(clean, start_ns, contiguous=contiguous) if usable and self.settings.radar else ()
        self._look_flags.append(flags)
        self._looks += 1
        return LookResult(
            start_ns=start_ns,
            end_ns=end_ns,
            channels=self._look_channels(spectra.groups.astype(np.float64), usable=usable, flags=flags),
            psd=spectra.mean / np.float32(self.settings.sample_rate_hz),
            noise_floor=self._density(self._floor.mean),
            incumbents=incumbents,
            flags=flags,
        )

    def report(self, now_ns: int, *, apart: Mapping[Channel, Sequence[Span]] = NOTHING_APART) -> SurveyReport:
        """Say what is known by now. Looks that began in one of a channel's spans `apart` (ns) do not speak of it."""
        history = np.concatenate(tuple(self._history)) if self._history else np.zeros((0, self._layout.groups))
        channels = tuple(
            self._report_channel(i, history, self._counted(apart.get(channel, ())))
            for i, channel in enumerate(self.settings.channels)
        )
        density = self._psd_sum / max(1, self._psd_frames) / self.settings.sample_rate_hz
        return SurveyReport(
            now_ns=now_ns,
            looks=self._looks,
            blocks=len(history),
            channels=channels,
            sro=spectrum_resource_occupancy([c.occupancy for c in channels]),
            incumbents=self._incumbents.incumbents,
            pulse_trains=self._incumbents.pulse_trains,
            overload=bool(self.flags & SampleFlag.CLIPPED),
            flags=self.flags,
            psd=density.astype(np.float32),
            peak_psd=self._peak / np.float32(self.settings.sample_rate_hz),
        )

    def _learn(self, groups: NDArray[np.float64], mean: Float32s, peak: Float32s, frames: int) -> None:
        self._floor.learn(groups)
        self._history.append(groups)
        self._kept += len(groups)
        while self._kept > HISTORY_BLOCKS and len(self._history) > 1:
            self._kept -= len(self._history.popleft())
            self._history_ns.popleft()
        self._psd_sum += mean.astype(np.float64) * frames
        self._psd_frames += frames
        np.maximum(self._peak, peak, out=self._peak)

    def _density(self, power: float) -> Level:
        statistical = 4.343 * self._floor.statistical_sd
        sd_db = float(np.hypot(statistical, self.settings.flatness_db / 3))
        return self._absolute(_db(power / self.settings.sample_rate_hz), sd_db, "/Hz")

    def _absolute(self, dbfs: float, sd_db: float, per: str) -> Level:
        scale = self.settings.calibration
        if scale is None:
            return Level(value=dbfs, sd=sd_db, unit=f"dBFS{per}")
        return Level(value=dbfs + scale.offset_db, sd=float(np.hypot(sd_db, scale.sd_db)), unit=f"dBm{per}")

    def _margins(self, index: int, groups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Energy of each block of a channel over its threshold, in dB, against the floor as it is known now."""
        members = self._layout.members[index]
        weights = self._layout.shapes[members] / self._layout.shapes[members].sum()
        idle = float(self._floor.levels[members] @ weights)
        energy = np.maximum(groups[:, members] @ weights, 1e-30)
        return np.asarray(10 * np.log10(energy / max(idle * self._threshold(index), 1e-30)), np.float64)

    def _shape(self, index: int) -> float:
        """Independent averages behind the energy of one block of a channel."""
        return self._layout.channel_shapes[index] * self._frames

    def _threshold(self, index: int) -> float:
        """Ratio to the floor above which a block is busy; the unevenness of the floor is allowed for."""
        members = self._layout.members[index]
        shape = self._shape(index)
        reference = max(shape, len(members) / self._floor.statistical_sd**2)
        uneven = 10 ** (0.3 * self.settings.flatness_db / 10)
        return f_threshold(shape=shape, reference_shape=reference, pfa=self.settings.pfa) * uneven

    def _look_channels(
        self, groups: NDArray[np.float64], *, usable: bool, flags: SampleFlag
    ) -> tuple[ChannelLook, ...]:
        return tuple(
            self._look_channel(i, groups, usable=usable, flags=flags) for i in range(len(self.settings.channels))
        )

    def _look_channel(self, index: int, groups: NDArray[np.float64], *, usable: bool, flags: SampleFlag) -> ChannelLook:
        channel = self.settings.channels[index]
        if not usable:
            nothing = Level(value=float("nan"), sd=float("inf"), unit="dBFS")
            return ChannelLook(channel=channel, busy=None, busy_fraction=0.0, power=nothing, snr_db=float("nan"))
        members = self._layout.members[index]
        decisions = self._margins(index, groups) > 0
        some = bool(np.count_nonzero(decisions) > max(1, 0.01 * len(decisions)))
        bins = channel.width_hz / self.settings.sample_rate_hz
        power = float(groups[:, members].mean()) * bins
        idle = float(self._floor.levels[members].mean()) * bins
        return ChannelLook(
            channel=channel,
            busy=some if some or not flags & VOIDING else None,
            busy_fraction=float(decisions.mean()),
            power=self._absolute(_db(power), 0.1, ""),
            snr_db=_db(max(power - idle, 0.0) / max(idle, 1e-30)),
        )

    def _counted(self, apart: Sequence[Span]) -> NDArray[np.bool_]:
        """For each block of the history, whether it speaks of a channel with those spans."""
        counts = [not any(start <= at < end for start, end in apart) for at in self._history_ns]
        return np.repeat(np.array(counts, bool), [len(blocks) for blocks in self._history])

    def _report_channel(self, index: int, history: NDArray[np.float64], counted: NDArray[np.bool_]) -> ChannelReport:
        channel, history = self.settings.channels[index], history[counted]
        margins = self._margins(index, history)
        valley = valley_db(margins)
        seen = channel_occupancy(
            margins > valley,
            times_s=self._times()[counted] if self._gaps or not counted.all() else None,
            rates=DetectorRates(pfa=self.settings.pfa if valley == 0.0 else 0.0),
        )
        occupancy = self._doubted(seen, len(margins))
        members = self._layout.members[index]
        idle = float(self._floor.levels[members].mean())
        mean = float(history[:, members].mean()) if len(history) else float("nan")
        share = channel.width_hz / self.settings.sample_rate_hz
        return ChannelReport(
            channel=channel,
            state=self._state(occupancy, len(margins)),
            occupancy=occupancy,
            noise_floor=self._density(idle),
            sensitivity_limit=self._sensitivity(index, idle * share, valley),
            headroom_db=-_db(mean * share),
            period=self._period(margins) if counted.all() else None,
            bursty=bool(np.ptp(np.quantile(margins, (0.05, 0.95))) > BURSTY_DB) if len(margins) else False,
            flags=self.flags,
        )

    @property
    def flags(self) -> SampleFlag:
        """Every doubt of the recent looks."""
        flags = SampleFlag.NONE if self.settings.calibration else SampleFlag.UNCALIBRATED
        for one in self._look_flags:
            flags |= one
        return flags

    def _doubted(self, seen: Interval, blocks: int) -> Interval:
        """Widen by the share of looks with gaps; open upwards where a flag voids what looked idle."""
        if not blocks:
            return replace(seen, value=float("nan"))
        if self.flags & SampleFlag.FULL_BAND:
            return replace(seen, value=1.0, high=1.0)
        gaps = sum(1 for one in self._look_flags if one & WIDENING) / max(1, len(self._look_flags))
        widened = outage_widened(seen, unseen_share=gaps)
        return replace(widened, high=1.0) if self.flags & VOIDING else widened

    def _state(self, occupancy: Interval, blocks: int) -> ChannelState:
        if blocks and occupancy.low > 0:
            return ChannelState.BUSY
        if not blocks or self.flags & VOIDING or occupancy.high >= FREE_HIGH_MAX:
            return ChannelState.UNKNOWN
        return ChannelState.FREE

    @property
    def _block_s(self) -> float:
        return self._frames * self.settings.fft_size / self.settings.sample_rate_hz

    def _times(self) -> NDArray[np.float64]:
        """When each block of the history began, in seconds."""
        starts = zip(self._history_ns, self._history, strict=True)
        if not self._history:
            return np.zeros(0)
        return np.concatenate([at / 1e9 + np.arange(len(blocks)) * self._block_s for at, blocks in starts])

    def _period(self, margins: NDArray[np.float64]) -> Period | None:
        if self._gaps or not len(margins):
            return None
        return find_period(margins, step_s=self._block_s)

    def _sensitivity(self, index: int, idle_power: float, valley: float) -> Level:
        samples = self._shape(index)
        rise = self._threshold(index) * 10 ** (valley / 10) / energy_threshold(samples=samples, pfa=0.9)
        needed = max(_db(rise - 1), snr_wall_db(self.settings.flatness_db))
        return self._absolute(_db(idle_power) + needed, self.settings.flatness_db / 3, "")

    def _full_band(self, quality: Quality, groups: Float32s) -> SampleFlag:
        """A band that is full everywhere, all the time, has no idle cell to measure: that is not quiet."""
        floor = self._floor.mean
        if not floor > 0:
            return SampleFlag.BELOW_QUANTISATION
        whole = float(groups.mean()) < 2 * floor
        constant = quality.envelope_kurtosis < CONSTANT_ENVELOPE
        loud = floor > LOUD_FLOOR
        return SampleFlag.FULL_BAND if whole and (constant or loud) else SampleFlag.NONE

    def _pulses(self, iq: Iq, start_ns: int, *, contiguous: bool) -> tuple[Incumbent, ...]:
        pulses = self._finder.find(iq, contiguous=contiguous)
        length_ns = round(len(iq) / self.settings.sample_rate_hz * 1e9)
        seen = Stretch(pulses=pulses, start_ns=start_ns, length_ns=length_ns, contiguous=contiguous)
        told = self._radar.decide(seen)
        at = self.settings.center_hz
        found, withdrawn = (
            [replace(one, low_hz=one.low_hz + at, high_hz=one.high_hz + at) for one in some]
            for some in (told.incumbents, told.withdrawn)
        )
        return self._incumbents.take(found, withdrawn)


def _db(power: float) -> float:
    return 10 * float(np.log10(max(power, 1e-40)))
