"""A sensing result as JSON by the published names, and as a table for people."""

from functools import reduce
from math import isfinite
from operator import and_
from typing import Any, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from agent.sense.session import SenseResult
from sensing.detectors.radar import Incumbent
from sensing.flags import SampleFlag, names
from sensing.survey import ChannelReport
from sensing.values import Channel, Interval, Level

TITLE_WIDTH: Final = 56


def as_json(result: SenseResult) -> dict[str, Any]:
    """The contract of `bandpact sense --json`; a number that is not known is null."""
    report = result.report
    return {
        "source": result.source,
        "center_hz": _number(result.settings.center_hz),
        "sample_rate_hz": _number(result.settings.sample_rate_hz),
        "seconds": result.seconds,
        "overload": report.overload,
        "flags": list(names(report.flags)),
        "channels": [_channel(c) for c in report.channels],
        "sro": _interval(report.sro),
        "incumbents": [_incumbent(i) for i in report.incumbents],
    }


def _number(value: float) -> float | int | None:
    if not isfinite(value):
        return None
    return int(value) if value == int(value) else value


def _known(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _interval(interval: Interval) -> dict[str, float | None]:
    return {"value": _known(interval.value), "low": _known(interval.low), "high": _known(interval.high)}


def _level(level: Level) -> dict[str, float | str | None]:
    return {"value": _known(level.value), "sd": _known(level.sd), "unit": level.unit}


def _channel(channel: ChannelReport) -> dict[str, Any]:
    return {
        "low_hz": _number(channel.channel.low_hz),
        "high_hz": _number(channel.channel.high_hz),
        "state": channel.state.value,
        "occupancy": _interval(channel.occupancy),
        "noise_floor": _level(channel.noise_floor),
        "flags": list(names(channel.flags)),
        "sensitivity_limit": {
            "value": _known(channel.sensitivity_limit.value),
            "unit": channel.sensitivity_limit.unit,
        },
        "headroom": {"value": _known(channel.headroom_db), "unit": "dB"},
        "bursty": channel.bursty,
        "period_ms": channel.period.seconds * 1e3 if channel.period else None,
    }


def _incumbent(one: Incumbent) -> dict[str, Any]:
    return {
        "class": one.kind,
        "t_s": one.start_ns / 1e9,
        "low_hz": _number(round(one.low_hz)),
        "high_hz": _number(round(one.high_hz)),
        "confidence": _interval(one.confidence),
        "pulses": one.pulses,
        "pulses_per_s": _known(1e6 / one.pri_us),
        "snr_db": _known(one.snr_db),
    }


def as_table(result: SenseResult) -> Table:
    """One row for each channel, 80 columns or fewer; its title and caption say what holds for all of them."""
    report = result.report
    unit = report.channels[0].noise_floor.unit if report.channels else "dBFS/Hz"
    table = Table(title=_title(result), title_justify="left", caption=_caption(result), caption_justify="left")
    table.box = SIMPLE_HEAD
    for heading, justify in COLUMNS:
        table.add_column(heading.format(unit=unit), justify=justify, no_wrap=True)
    for channel in report.channels:
        table.add_row(*_row(channel))
    return table


COLUMNS: Final[tuple[tuple[str, Literal["left", "right"]], ...]] = (
    ("MHz", "left"),
    ("State", "left"),
    ("In use", "right"),
    ("95 %", "left"),
    ("Floor", "right"),
    ("Sees from", "right"),
)


def _title(result: SenseResult) -> str:
    name = result.source.rpartition("/")[2] if len(result.source) > TITLE_WIDTH else result.source
    return f"{name}: {result.seconds:.3g} s, {result.report.blocks} blocks"


def _caption(result: SenseResult) -> str:
    """What the columns mean here, and the flags that every channel carries."""
    channels = result.report.channels
    floor = channels[0].noise_floor if channels else None
    per = floor.unit if floor else "dBFS/Hz"
    lines = [f"Floor in {per} with its standard error; sees from, in {per.removesuffix('/Hz')} over the channel."]
    if per.startswith("dBFS"):
        lines.append("No calibration holds here: levels are relative to full scale.")
    common = reduce(and_, (c.flags for c in channels), ~SampleFlag.NONE)
    if channels and common & ~SampleFlag.UNCALIBRATED:
        lines.append(f"Doubts in every channel: {_words(common & ~SampleFlag.UNCALIBRATED)}.")
    lines += [f"Doubts in {_edges(c.channel)}: {_words(c.flags & ~common)}." for c in channels if c.flags & ~common]
    return "\n".join(lines)


def _edges(channel: Channel) -> str:
    return f"{channel.low_hz / 1e6:.3f}-{channel.high_hz / 1e6:.3f}"


def _words(flags: SampleFlag) -> str:
    return ", ".join(names(flags)).lower().replace("_", " ")


def _row(channel: ChannelReport) -> tuple[Text | str, ...]:
    style = {"busy": "bold red", "free": "green", "unknown": "yellow"}[channel.state.value]
    occupancy, floor, limit = channel.occupancy, channel.noise_floor, channel.sensitivity_limit
    sensed = isfinite(occupancy.value)
    return (
        _edges(channel.channel),
        Text(channel.state.value, style=style),
        f"{occupancy.value:.1%}" if sensed else "unseen",
        f"{occupancy.low:.1%}-{occupancy.high:.1%}" if sensed else "",
        f"{floor.value:.1f} ±{floor.sd:.1f}" if isfinite(floor.value) else "unknown",
        f"{limit.value:.1f}" if isfinite(limit.value) else "unknown",
    )


def incumbent_lines(result: SenseResult) -> list[str]:
    """A sentence for each radar heard."""
    return [
        f"Radar {one.kind} from {one.start_ns / 1e9:.3f} s in {one.low_hz / 1e6:.1f}-{one.high_hz / 1e6:.1f} MHz: "
        f"{one.pulses} pulses, {1e6 / one.pri_us:.0f} a second, confidence {one.confidence.value:.2f} "
        f"({one.confidence.low:.2f} to {one.confidence.high:.2f})"
        for one in result.report.incumbents
    ]
