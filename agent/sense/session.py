"""One run of sensing over a source: the right settings for it, and the report at its end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log2
from typing import Final

from agent.sense.bands import channels_of
from agent.sense.sources import Look, Source
from sensing.survey import LookResult, Survey, SurveyReport, SurveySettings
from sensing.values import Channel

BLOCK_US: Final = 100.0
FFT_MIN, FFT_MAX = 64, 4096
USABLE_SHARE: Final = 0.9
"""Share of the received band that is one channel when none is asked for: a receiver's filter falls off at its edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensePlan:
    """What to sense: `band` None is all that is received, `width_hz` None is one channel, `duration_s` None is all."""

    band: Channel | None = None
    width_hz: float | None = None
    duration_s: float | None = None
    pfa: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class SenseResult:
    """What a run found, with the settings it was made with and the time it covered."""

    source: str
    settings: SurveySettings
    seconds: float
    report: SurveyReport


def fft_size(sample_rate_hz: float) -> int:
    """Bins such that a block holds at least two frames."""
    room = sample_rate_hz * BLOCK_US * 1e-6 / 2
    return int(min(FFT_MAX, max(FFT_MIN, 2 ** int(log2(max(room, 1))))))


def survey_settings(source: Source, plan: SensePlan) -> SurveySettings:
    """Settings that fit a source.

    Raises: sensing.layout.ChannelOutside later, when a channel does not fit the band.
    """
    width = source.bandwidth_hz or source.sample_rate_hz * USABLE_SHARE
    half = min(width, source.sample_rate_hz) / 2
    band = plan.band or Channel(low_hz=source.center_hz - half, high_hz=source.center_hz + half)
    return SurveySettings(
        center_hz=source.center_hz,
        sample_rate_hz=source.sample_rate_hz,
        full_scale=source.full_scale,
        bandwidth_hz=source.bandwidth_hz,
        channels=channels_of(band, plan.width_hz),
        fft_size=fft_size(source.sample_rate_hz),
        block_us=BLOCK_US,
        pfa=plan.pfa,
    )


def sense(
    source: Source,
    plan: SensePlan,
    *,
    on_look: Callable[[Look, LookResult], None] = lambda _look, _result: None,
) -> SenseResult:
    """Run over the source until it or the plan's time ends; `on_look` is told of every look."""
    settings = survey_settings(source, plan)
    survey = Survey(settings)
    seconds = 0.0
    for look in _until(source.looks(), plan.duration_s):
        result = survey.feed(look.iq, start_ns=look.start_ns, flags=look.flags)
        seconds = result.end_ns / 1e9
        on_look(look, result)
    return SenseResult(
        source=source.name, settings=settings, seconds=seconds, report=survey.report(round(seconds * 1e9))
    )


def _until(looks: Iterator[Look], duration_s: float | None) -> Iterator[Look]:
    for look in looks:
        if duration_s is not None and look.start_ns >= duration_s * 1e9:
            return
        yield look
