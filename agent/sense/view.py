"""A sensing result as JSON by the published names, and as a table for people."""

from math import isfinite
from typing import Any

from rich.table import Table
from rich.text import Text

from agent.sense.session import SenseResult
from sensing.detectors.radar import Incumbent
from sensing.flags import names
from sensing.survey import ChannelReport
from sensing.values import Interval, Level


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
    """One row for each channel; levels say whether they are relative."""
    report = result.report
    unit = report.channels[0].noise_floor.unit if report.channels else "dBFS/Hz"
    relative = " (relative)" if unit.startswith("dBFS") else ""
    table = Table(title=f"{result.source}: {result.seconds:.3g} s, {report.blocks} blocks", title_justify="left")
    for heading in ("Channel MHz", "State", "Occupancy, 95 %", f"Floor {unit}{relative}", "Can see from", "Flags"):
        table.add_column(heading)
    for channel in report.channels:
        table.add_row(*_row(channel))
    return table


def _row(channel: ChannelReport) -> tuple[Text | str, ...]:
    style = {"busy": "bold red", "free": "green", "unknown": "yellow"}[channel.state.value]
    occupancy, floor, limit = channel.occupancy, channel.noise_floor, channel.sensitivity_limit
    return (
        f"{channel.channel.low_hz / 1e6:.3f}-{channel.channel.high_hz / 1e6:.3f}",
        Text(channel.state.value, style=style),
        f"{occupancy.value:6.1%} ({occupancy.low:.1%} to {occupancy.high:.1%})"
        if isfinite(occupancy.value)
        else "not sensed",
        f"{floor.value:.1f} ± {floor.sd:.1f}" if isfinite(floor.value) else "not known",
        f"{limit.value:.1f} {limit.unit}" if isfinite(limit.value) else "not known",
        ", ".join(names(channel.flags)).lower().replace("_", " ") or "none",
    )


def incumbent_lines(result: SenseResult) -> list[str]:
    """A sentence for each radar heard."""
    return [
        f"Radar {one.kind} from {one.start_ns / 1e9:.3f} s in {one.low_hz / 1e6:.1f}-{one.high_hz / 1e6:.1f} MHz: "
        f"{one.pulses} pulses, {1e6 / one.pri_us:.0f} a second, confidence {one.confidence.value:.2f} "
        f"({one.confidence.low:.2f} to {one.confidence.high:.2f})"
        for one in result.report.incumbents
    ]
