"""Frequencies as people type them: always with a unit."""

import re
from typing import Final

from sensing.values import Channel

UNITS: Final = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
_NUMBER: Final = r"(\d+(?:\.\d+)?)\s*([kmg]?hz)?"
_BAND: Final = re.compile(rf"^\s*{_NUMBER}\s*-\s*{_NUMBER}\s*$", re.IGNORECASE)
_ONE: Final = re.compile(rf"^\s*{_NUMBER}\s*$", re.IGNORECASE)


class BandUnreadable(ValueError):
    """A frequency or band is not understood; the message shows how to write it."""


def parse_band(text: str) -> Channel:
    """Read `3550-3560MHz` or `3.55GHz-3560MHz`; a unit at the end serves both edges.

    Raises: BandUnreadable.
    """
    match = _BAND.match(text)
    if match is None or match[4] is None:
        raise BandUnreadable(f"band {text!r}: write it as 3550-3560MHz, with a unit")
    unit = UNITS[match[4].lower()]
    low = float(match[1]) * (UNITS[match[2].lower()] if match[2] else unit)
    high = float(match[3]) * unit
    if not low < high:
        raise BandUnreadable(f"band {text!r}: its lower edge is not below its upper edge")
    return Channel(low_hz=low, high_hz=high)


def parse_frequency(text: str) -> float:
    """Read `3550MHz` as hertz.

    Raises: BandUnreadable.
    """
    match = _ONE.match(text)
    if match is None or match[2] is None:
        raise BandUnreadable(f"frequency {text!r}: write it as 10MHz, with a unit")
    return float(match[1]) * UNITS[match[2].lower()]


def channels_of(band: Channel, width_hz: float | None) -> tuple[Channel, ...]:
    """The band cut into channels of one width from its lower edge; what is left over at the top is dropped."""
    if width_hz is None or width_hz >= band.width_hz:
        return (band,)
    count = int(band.width_hz / width_hz + 1e-9)
    lows = [band.low_hz + i * width_hz for i in range(count)]
    return tuple(Channel(low_hz=low, high_hz=low + width_hz) for low in lows)
