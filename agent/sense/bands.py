"""Parses frequencies as people type them into the channels that sensing uses."""

from collections.abc import Sequence

from agent.words.units import BandUnreadable, parse_edges, parse_hz
from sensing.values import Channel

__all__ = ["BandUnreadable", "channels_of", "left_over", "parse_band", "parse_frequency"]


def parse_band(text: str) -> Channel:
    """Read `3550-3560MHz` or `3.55GHz-3560MHz`; a unit at the end serves both edges.

    Raises: BandUnreadable.
    """
    low_hz, high_hz = parse_edges(text)
    return Channel(low_hz=float(low_hz), high_hz=float(high_hz))


def parse_frequency(text: str, what: str = "frequency") -> float:
    """Read `3550MHz` as hertz, above 0: a width, a rate, or where to tune.

    Raises: BandUnreadable.
    """
    hz = parse_hz(text, what)
    if not hz:
        raise BandUnreadable(f"{what} {text!r}: give one above 0, such as 10MHz")
    return float(hz)


def channels_of(band: Channel, width_hz: float | None) -> tuple[Channel, ...]:
    """Cut a band into channels of one width from its lower edge; `left_over` returns the rest."""
    if width_hz is None or width_hz >= band.width_hz:
        return (band,)
    count = int(band.width_hz / width_hz + 1e-9)
    lows = [band.low_hz + i * width_hz for i in range(count)]
    return tuple(Channel(low_hz=low, high_hz=low + width_hz) for low in lows)


def left_over(band: Channel, channels: Sequence[Channel], *, least_hz: float = 1.0) -> tuple[Channel, ...]:
    """The parts of a band that lie in none of the channels, those of `least_hz` and more."""
    found: list[Channel] = []
    at = band.low_hz
    for channel in sorted(channels, key=lambda one: one.low_hz):
        if channel.low_hz - at >= least_hz:
            found.append(Channel(low_hz=at, high_hz=min(channel.low_hz, band.high_hz)))
        at = max(at, channel.high_hz)
    if band.high_hz - at >= least_hz:
        found.append(Channel(low_hz=at, high_hz=band.high_hz))
    return tuple(found)
