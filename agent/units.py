"""Powers and times as people type them: always with a unit."""

import re
from typing import Final

SECONDS: Final = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_TIME: Final = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h)\s*$")
_POWER: Final = re.compile(r"^\s*([+-]?\d+(?:\.\d+)?)\s*dBm\s*$", re.IGNORECASE)


class UnitMissing(ValueError):
    """A time or a power is not understood; the message shows how to write it."""


def parse_time(text: str) -> float:
    """Read `60s`, `1.5min` or `250ms` as seconds.

    Raises: UnitMissing.
    """
    match = _TIME.match(text)
    if match is None:
        raise UnitMissing(f"time {text!r}: write it as 60s, with a unit")
    return float(match[1]) * SECONDS[match[2]]


def parse_power(text: str) -> int:
    """Read `20dBm` as thousandths of a dBm.

    Raises: UnitMissing.
    """
    match = _POWER.match(text)
    if match is None:
        raise UnitMissing(f"power {text!r}: write it as 20dBm, with a unit")
    return round(float(match[1]) * 1000)
