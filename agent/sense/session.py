"""One sensing run over a source: settings for each tuning, and the reports at the end."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil, log2
from typing import Final

from agent.sense.bands import channels_of, left_over
from agent.sense.sources import LOOK_S, NS, Look, Source, Tuning, limited
from hw_profiles.calibration import Scale
from sensing.detectors.registry import USUAL
from sensing.flags import UNUSABLE, SampleFlag
from sensing.layout import ChannelOutside
from sensing.radarreach import RadarReach, Searched, radar_reach
from sensing.repetition import Repetition
from sensing.samples import clipped_share
from sensing.survey import ChannelState, LookResult, Survey, SurveyReport, SurveySettings
from sensing.values import Channel, Interval

BLOCK_US: Final = 100.0
FFT_MIN, FFT_MAX, FFT_NARROW_MAX = 64, 4096, 65536
BINS_PER_CHANNEL_MIN, BINS_PER_NARROW_CHANNEL = 5, 12
"""Fewest bins of a channel, and the bins of a narrower one in a longer transform, so that no neighbour leaks in."""
FRAMES_PER_BLOCK: Final = 2
"""Frames per block of a longer transform; at low sample rates a block is one frame: longer ones blur short bursts."""
BLOCKS_PER_LOOK_MIN: Final = 60
USABLE_SHARE: Final = 0.9
"""Share of the received band used as one channel where none is given: a receiver's filter falls off at its edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensePlan:
    """What to sense: `band` None is all received, `width_hz` None one channel, `duration_s` None the whole source."""

    band: Channel | None = None
    width_hz: float | None = None
    duration_s: float | None = None
    pfa: float = 1e-3
    detector: str = USUAL
    scale_of: Callable[[Tuning], Scale | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreported:
    """A part of the received band that no channel covers, and why."""

    band: Channel
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SenseResult:
    """Result of a run at one tuning, with its settings.

    `seconds` is the time sensed, without gaps; `span_s` from the first sample to the last, with gaps.
    `beyond_filter` are channels that reach beyond the receiver's filter: they are not reported.
    """

    source: str
    tuning: Tuning
    settings: SurveySettings
    seconds: float
    span_s: float
    gaps: int
    report: SurveyReport
    radar: RadarReach
    unreported: tuple[Unreported, ...]
    beyond_filter: frozenset[Channel]


def fft_size(sample_rate_hz: float, width_hz: float | None = None) -> int:
    """Return a transform size such that a block of `BLOCK_US` holds at least two frames; larger for narrow channels.

    Raises: ChannelOutside for channels too narrow for the longest transform.
    """
    room = sample_rate_hz * BLOCK_US * 1e-6 / 2
    usual = int(min(FFT_MAX, max(FFT_MIN, 2 ** int(log2(max(room, 1))))))
    if width_hz is None or BINS_PER_CHANNEL_MIN * sample_rate_hz / width_hz <= usual:
        return usual
    needed = 1 << ceil(log2(BINS_PER_NARROW_CHANNEL * sample_rate_hz / width_hz))
    if needed > FFT_NARROW_MAX:
        least = BINS_PER_NARROW_CHANNEL * sample_rate_hz / FFT_NARROW_MAX
        raise ChannelOutside(
            f"channels of {width_hz / 1e3:g} kHz are too narrow at {sample_rate_hz / 1e6:g} MS/s: "
            f"choose {least / 1e3:.3g} kHz or more"
        )
    return needed


def usable_hz(tuning: Tuning) -> float:
    """Return the usable bandwidth in Hz: the filter's, or most of the sample rate where the filter is unknown."""
    width = tuning.bandwidth_hz or tuning.sample_rate_hz * USABLE_SHARE
    return min(width, tuning.sample_rate_hz)


def received(tuning: Tuning) -> Channel:
    """Return the band that the samples cover."""
    half = usable_hz(tuning) / 2
    return Channel(low_hz=tuning.center_hz - half, high_hz=tuning.center_hz + half)


def survey_settings(source: Source, plan: SensePlan, tuning: Tuning, *, sole: bool = True) -> SurveySettings | None:
    """Return settings that fit a tuning; None where the plan's band is outside it and there are other tunings.

    Raises: sensing.layout.ChannelOutside later, when a channel does not fit the band.
    """
    band, here = plan.band or received(tuning), received(tuning)
    if not sole:
        low, high = max(band.low_hz, here.low_hz), min(band.high_hz, here.high_hz)
        if not low < high:
            return None
        band = Channel(low_hz=low, high_hz=high)
    width = band.width_hz if plan.width_hz is None else min(plan.width_hz, band.width_hz)
    size = fft_size(tuning.sample_rate_hz, width)
    frames = FRAMES_PER_BLOCK if size > fft_size(tuning.sample_rate_hz) else 1
    scale = plan.scale_of(tuning) if plan.scale_of is not None else source.scale
    return SurveySettings(
        center_hz=tuning.center_hz,
        sample_rate_hz=tuning.sample_rate_hz,
        full_scale=source.full_scale,
        bandwidth_hz=tuning.bandwidth_hz,
        channels=channels_of(band, plan.width_hz),
        fft_size=size,
        block_us=max(BLOCK_US, frames * size / tuning.sample_rate_hz * 1e6),
        pfa=plan.pfa,
        detector=plan.detector,
        calibration=scale,
    )


@dataclass(slots=True)
class _Part:
    """One tuning's survey, and the time sensed with it."""

    survey: Survey
    repetition: Repetition = field(default_factory=Repetition)
    samples: int = 0
    first_ns: int | None = None
    end_ns: int = 0
    gaps: int = 0
    searched: Searched = field(default_factory=Searched)

    def take(self, look: Look) -> LookResult:
        flags = look.flags | (SampleFlag.STALE if self.repetition.again(look.iq) else SampleFlag.NONE)
        result = self.survey.feed(look.iq, start_ns=look.start_ns, flags=flags)
        joined = self.first_ns is not None and abs(look.start_ns - self.end_ns) <= CONTIGUOUS_NS
        self.gaps += self.first_ns is not None and not joined
        self.first_ns = look.start_ns if self.first_ns is None else self.first_ns
        self.end_ns, self.samples = result.end_ns, self.samples + len(look.iq)
        usable = not (result.flags & UNSEARCHED or self._overloaded(look, result))
        filled = SampleFlag.FULL_BAND in result.flags
        self.searched.take(len(look.iq), silent=result.silent, usable=usable, joined=joined, filled=filled)
        return result

    def _overloaded(self, look: Look, result: LookResult) -> bool:
        """Return whether the converter was overloaded for so long that a pulse would not have risen above it."""
        if SampleFlag.CLIPPED not in result.flags:
            return False
        return clipped_share(look.iq, self.survey.settings.full_scale) > OVERLOADED_SHARE


CONTIGUOUS_NS: Final = 2_000
UNSEARCHED: Final = UNUSABLE | SampleFlag.NON_FINITE
"""Flags of looks in which a radar could not have been heard."""
OVERLOADED_SHARE: Final = 0.1
"""Share of time above which overload hides radars; a radar's own pulses take less in every class."""


@dataclass(slots=True)
class Surveys:
    """A survey for each tuning of a source, fed with looks.

    Raises: sensing.layout.ChannelOutside when a channel does not fit the band.
    """

    source: Source
    plan: SensePlan
    _parts: dict[Tuning, _Part | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Set up one survey for each tuning that the plan's band touches."""
        sole = len(self.source.tunings) == 1
        for tuning in self.source.tunings:
            settings = survey_settings(self.source, self.plan, tuning, sole=sole)
            self._parts[tuning] = None if settings is None else _Part(survey=Survey(settings))
        if not any(self._parts.values()):
            raise ChannelOutside(f"{self.source.name}: none of its tunings receives that band: choose one inside")

    @property
    def look_s(self) -> float:
        """Length of a look in seconds, long enough for the noise floor to be found in its blocks."""
        blocks_s = [p.survey.settings.block_us * 1e-6 for p in self._parts.values() if p is not None]
        return max(LOOK_S, BLOCKS_PER_LOOK_MIN * max(blocks_s))

    def wants(self, look: Look) -> bool:
        """Return whether a look received the plan's band."""
        return self._parts.get(look.tuning) is not None

    def settings(self, tuning: Tuning) -> SurveySettings | None:
        """Return a tuning's survey settings, None where it is not surveyed."""
        part = self._parts.get(tuning)
        return None if part is None else part.survey.settings

    def feed(self, look: Look) -> LookResult:
        """Add one look, for which `wants` is true. Raises KeyError for another."""
        part = self._parts[look.tuning]
        if part is None:
            raise KeyError(look.tuning)
        return part.take(look)

    def results(self) -> tuple[SenseResult, ...]:
        """Return the results so far, one for each tuning."""
        return tuple(self._result(tuning, part) for tuning, part in self._parts.items() if part is not None)

    def _result(self, tuning: Tuning, part: _Part) -> SenseResult:
        settings = part.survey.settings
        beyond = frozenset(c for c in settings.channels if _beyond(c, tuning, settings.fft_size))
        report = part.survey.report(part.end_ns)
        return SenseResult(
            source=self.source.name,
            tuning=tuning,
            settings=settings,
            seconds=part.samples / tuning.sample_rate_hz,
            span_s=0.0 if part.first_ns is None else (part.end_ns - part.first_ns) / NS,
            gaps=part.gaps,
            report=_silenced(report, beyond),
            radar=radar_reach(band_hz=usable_hz(tuning), rate_hz=tuning.sample_rate_hz, searched=part.searched),
            unreported=_unreported(self.plan, tuning, settings),
            beyond_filter=beyond,
        )


def _beyond(channel: Channel, tuning: Tuning, size: int) -> bool:
    """Return whether a channel reaches beyond the receiver's filter; False where the filter is unknown."""
    if tuning.bandwidth_hz is None:
        return False
    here, slack = received(tuning), tuning.sample_rate_hz / size
    return channel.low_hz < here.low_hz - slack or channel.high_hz > here.high_hz + slack


def _silenced(report: SurveyReport, beyond: frozenset[Channel]) -> SurveyReport:
    """Return the report with the channels outside the receiver's filter set to unknown."""
    if not beyond:
        return report
    nothing = Interval(value=float("nan"), low=0.0, high=1.0)
    channels = tuple(
        replace(c, state=ChannelState.UNKNOWN, occupancy=nothing, period=None) if c.channel in beyond else c
        for c in report.channels
    )
    heard = [c.occupancy for c in channels if c.channel not in beyond]
    share = len(heard) / len(channels)
    sro = report.sro
    if heard:
        sro = Interval(
            value=sum(o.value for o in heard) / len(heard),
            low=sum(o.low for o in heard) / len(heard) * share,
            high=sum(o.high for o in heard) / len(heard) * share + 1 - share,
        )
    else:
        sro = nothing
    return replace(report, channels=channels, sro=sro)


def _unreported(plan: SensePlan, tuning: Tuning, settings: SurveySettings) -> tuple[Unreported, ...]:
    """Return the requested and received parts that belong to no channel."""
    asked, here = plan.band or received(tuning), received(tuning)
    low, high = max(asked.low_hz, here.low_hz), min(asked.high_hz, here.high_hz)
    found: list[Unreported] = []
    if low < high:
        rest = left_over(Channel(low_hz=low, high_hz=high), settings.channels)
        width = 0.0 if plan.width_hz is None else plan.width_hz
        found += [Unreported(band=one, why=f"narrower than a channel of {width / 1e6:g} MHz") for one in rest]
    half = tuning.sample_rate_hz / 2
    whole = Channel(low_hz=tuning.center_hz - half, high_hz=tuning.center_hz + half)
    if plan.band is None:
        edge = "beyond the filter" if tuning.bandwidth_hz else "where filters fall off"
        found += [Unreported(band=one, why=edge) for one in left_over(whole, (here,))]
    return tuple(found)


def sense(
    source: Source,
    plan: SensePlan,
    *,
    on_look: Callable[[Look, LookResult], None] = lambda _look, _result: None,
) -> tuple[SenseResult, ...]:
    """Run until the source or the plan's time ends; `on_look` is called with every look."""
    surveys = Surveys(source, plan)
    for look in limited(source, plan.duration_s, surveys.look_s):
        if surveys.wants(look):
            on_look(look, surveys.feed(look))
    return surveys.results()
