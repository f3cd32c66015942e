"""Formats a sensing result as JSON with the published names, and as a table for people."""

from collections.abc import Sequence
from functools import reduce
from math import isfinite
from operator import and_, or_
from typing import Any, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from agent.sense.session import SenseResult, received
from sensing.detectors.radar import Incumbent
from sensing.flags import VOIDING, SampleFlag, names
from sensing.survey import ChannelReport, ChannelState
from sensing.values import Channel, Interval, LevelDb

TITLE_WIDTH: Final = 56
BANDS_SHOWN: Final = 3
LEAST_SHARE: Final = 5e-4
NO_RADAR: Final = "no radar, they go on for longer than its burst or no incumbent can be there."


def as_json(results: Sequence[SenseResult]) -> dict[str, Any]:
    """Return the JSON of `bandpact sense --json`; an unknown number is null.

    With several tunings `center_hz` is null, the lists hold all tunings' values, and `tunings` has each by itself.
    """
    one = results[0]
    if len(results) == 1:
        return _as_json(one)
    flags = reduce(or_, (r.report.flags for r in results), SampleFlag.NONE)
    parts = [_as_json(r) for r in results]
    heard = [r.report.sro for r in results if isfinite(r.report.sro.value)]
    return {
        "source": one.source,
        "center_hz": None,
        "sample_rate_hz": _number(one.settings.sample_rate_hz),
        "seconds": sum(r.seconds for r in results),
        "gaps": sum(r.gaps for r in results),
        "overload": any(r.report.overload for r in results),
        "flags": list(names(flags)),
        "channels": [c for p in parts for c in p["channels"]],
        "sro": {
            "value": sum(o.value for o in heard) / len(heard) if heard else None,
            "low": sum(r.report.sro.low for r in results) / len(results),
            "high": sum(r.report.sro.high for r in results) / len(results),
        },
        "incumbents": [i for p in parts for i in p["incumbents"]],
        "unreported": [u for p in parts for u in p["unreported"]],
        "tunings": parts,
    }


def _as_json(result: SenseResult) -> dict[str, Any]:
    report = result.report
    return {
        "source": result.source,
        "center_hz": _number(result.settings.center_hz),
        "sample_rate_hz": _number(result.settings.sample_rate_hz),
        "bandwidth_hz": None if result.tuning.bandwidth_hz is None else _number(result.tuning.bandwidth_hz),
        "gain_db": result.tuning.gain_db,
        "seconds": result.seconds,
        "span_s": result.span_s,
        "gaps": result.gaps,
        "blocks": report.blocks,
        "whole": report.whole,
        "overload": report.overload,
        "flags": list(names(report.flags)),
        "channels": [_channel(c, result) for c in report.channels],
        "sro": _interval(report.sro),
        "incumbents": [_incumbent(i) for i in report.incumbents],
        "pulse_trains": [_incumbent(i) for i in report.pulse_trains],
        "radar": {
            "searched": list(result.radar.heard_if_there),
            "cannot_tell": list(result.radar.cannot_tell),
            "why": result.radar.why,
            "searched_s": result.radar.searched_s,
            "listened_s": result.radar.listened_s,
            "lowered_s": result.radar.lowered_s,
        },
        "unreported": [
            {"low_hz": _number(u.band.low_hz), "high_hz": _number(u.band.high_hz), "why": u.why}
            for u in result.unreported
        ],
    }


def _number(value: float) -> float | int | None:
    if not isfinite(value):
        return None
    return int(value) if value == int(value) else value


def _known(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _interval(interval: Interval) -> dict[str, float | None]:
    return {"value": _known(interval.value), "low": _known(interval.low), "high": _known(interval.high)}


def _level(level: LevelDb) -> dict[str, float | str | None]:
    return {"value": _known(level.value), "sd": _known(level.sd), "unit": level.unit}


def _channel(channel: ChannelReport, result: SenseResult) -> dict[str, Any]:
    return {
        "low_hz": _number(channel.channel.low_hz),
        "high_hz": _number(channel.channel.high_hz),
        "state": channel.state.value,
        "why": _doubt(channel, result) or None,
        "occupancy": _interval(channel.occupancy),
        "occupancy_of": "this stretch",
        "long_run": _interval(channel.long_run),
        "anchor": channel.anchor.value,
        "noise_floor": _level(channel.noise_floor),
        "flags": list(names(channel.flags)),
        "sensitivity_limit": {
            "value": _known(channel.sensitivity_limit.value),
            "unit": channel.sensitivity_limit.unit,
        },
        "threshold": _level(channel.threshold),
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
    """Return one row for each channel, 80 columns or fewer; title and caption say what holds for all channels."""
    report = result.report
    unit = report.channels[0].noise_floor.unit if report.channels else "dBFS/Hz"
    table = Table(title=_title(result), title_justify="left", caption=_caption(result), caption_justify="left")
    table.box = SIMPLE_HEAD
    for heading, justify in COLUMNS:
        table.add_column(heading.format(unit=unit), justify=justify, no_wrap=True)
    for channel in report.channels:
        table.add_row(*_row(channel))
    return table


def _doubt(channel: ChannelReport, result: SenseResult) -> str:
    """Return why a channel's state is unknown, in words; empty where it is known."""
    if channel.channel in result.beyond_filter:
        here = received(result.tuning)
        return f"reaches beyond the filter, {_edges(here)} MHz"
    if not result.report.blocks:
        return f"{result.seconds * 1e3:.3g} ms held no block that could be judged"
    if channel.state is ChannelState.UNKNOWN:
        voiding = channel.flags & VOIDING
        return _words(voiding) if voiding else "what was heard does not settle it"
    return ""


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
    gaps = f" in {result.gaps + 1} stretches" if result.gaps else ""
    return f"{name}: {result.seconds:.3g} s{gaps}, {result.report.blocks} blocks"


def _caption(result: SenseResult) -> str:
    """Return what the columns mean here, and the flags that every channel carries."""
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
    doubts: dict[str, list[str]] = {}
    for channel in channels:
        if why := _doubt(channel, result):
            doubts.setdefault(why, []).append(_edges(channel.channel))
    lines += [
        f"Cannot tell: {_listed(bands)} {why}." if "beyond" in why else f"Cannot tell of {_listed(bands)}: {why}."
        for why, bands in doubts.items()
    ]
    untold: dict[str, list[str]] = {}
    for one in result.unreported:
        untold.setdefault(one.why, []).append(_edges(one.band))
    lines += [f"Not reported: {_listed(bands)} MHz, {why}." for why, bands in untold.items()]
    return "\n".join(lines)


def _listed(bands: list[str]) -> str:
    """Return the first few of many bands as text."""
    shown = ", ".join(bands[:BANDS_SHOWN])
    return shown if len(bands) <= BANDS_SHOWN else f"{shown} and {len(bands) - BANDS_SHOWN} more"


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
        _share(occupancy.value, used=channel.state is ChannelState.BUSY) if sensed else "unknown",
        f"{occupancy.low:.1%}-{occupancy.high:.1%}" if sensed else "",
        f"{floor.value:.1f} ±{floor.sd:.1f}" if isfinite(floor.value) else "unknown",
        f"{limit.value:.1f}" if isfinite(limit.value) else "unknown",
    )


def _span(one: Incumbent) -> str:
    return f"{one.low_hz / 1e6:.1f}-{one.high_hz / 1e6:.1f}"


def _share(value: float, *, used: bool) -> str:
    """Return a share of time in per cent; a channel that is in use is never shown as "0.0 %"."""
    return "<0.1%" if used and value < LEAST_SHARE else f"{value:.1%}"


def radar_lines(result: SenseResult) -> list[str]:
    """Return a sentence for each radar heard, or on what can be said where none was."""
    heard = [
        f"Radar {one.kind} from {one.start_ns / 1e9:.3f} s in {one.low_hz / 1e6:.1f}-{one.high_hz / 1e6:.1f} MHz: "
        f"{one.pulses} pulses, {1e6 / one.pri_us:.0f} a second, confidence {one.confidence.value:.2f} "
        f"({one.confidence.low:.2f} to {one.confidence.high:.2f})"
        for one in result.report.incumbents
    ]
    reach = result.radar
    back = [
        f"Pulses like {one.kind}'s from {one.start_ns / 1e9:.3f} s in {_span(one)} MHz: {NO_RADAR}"
        for one in result.report.pulse_trains[:BANDS_SHOWN]
    ]
    if reach.lowered_s:
        back.append(
            f"Something filled the band for {reach.lowered_s:.3g} s: there a radar is heard over that, "
            "not over the noise."
        )
    if not reach.cannot_tell and reach.whole:
        return [*(heard or ["No radar heard."]), *back]
    part = f" in the {reach.searched_s:.3g} s of {reach.listened_s:.3g} s that could be searched"
    if not reach.cannot_tell:
        return [*heard, f"Radar: {'no other' if heard else 'none'}{part}.", *back]
    line = f"Radar: cannot tell of {', '.join(reach.cannot_tell)}: {reach.why}."
    if reach.heard_if_there and not heard:
        line += f" None of {', '.join(reach.heard_if_there)}{'' if reach.whole else part}."
    return [*heard, line, *back]
