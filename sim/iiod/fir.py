"""Parses FIR filter files of Analog Devices' tools, as the AD9361's kernel driver does."""

import re
from dataclasses import dataclass
from typing import Final

TAPS_MAX: Final = 128
_SIDE = re.compile(r"(TX|RX)\s+(\d+)\s+GAIN\s+(-?\d+)\s+(INT|DEC)\s+(\d+)")
_RATES = re.compile(r"(RTX|RRX|BWTX|BWRX)\s+\d+")
_TAP = re.compile(r"-?\d+\s*(,\s*-?\d+)?\s*$")


class NoFilter(ValueError):
    """The text is no filter file; the message says which line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fir:
    """A programmable filter of both directions: the taps of each, and its rate change factor."""

    taps: int
    decimation: int
    interpolation: int

    def __str__(self) -> str:
        """Format the filter as the driver shows it."""
        return f"FIR Rx: {self.taps},{self.decimation} Tx: {self.taps},{self.interpolation}"


def parse(text: str) -> Fir:
    """Read a filter file: comments, `RX … GAIN … DEC …`, `TX … GAIN … INT …`, rates, then taps; raises NoFilter."""
    sides: dict[str, int] = {}
    taps = 0
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#") or _RATES.match(line):
            continue
        side = _SIDE.match(line)
        if side is not None:
            sides[side[1]] = int(side[5])
        elif _TAP.match(line):
            taps += 1
        else:
            raise NoFilter(f"not a line of a filter file: {line!r}")
    if not sides or not taps or taps > TAPS_MAX or taps % 16 or not set(sides.values()) <= {1, 2, 4}:
        raise NoFilter(f"{taps} taps for {sides}")
    return Fir(taps=taps, decimation=sides.get("RX", 1), interpolation=sides.get("TX", 1))
