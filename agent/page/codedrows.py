"""Encodes history rows for the page: max-hold spectra as bytes, time lanes with short names."""

import struct
from typing import Any, Final

from agent.history.rows import Row
from agent.history.spectra import bins_of
from agent.words.silence import readable

SPECTRA_HEAD: Final = struct.Struct("<IIddq")


def spectra(rows: list[Row]) -> bytes:
    """Encode rows of one tuning: bins, count (u32), low and high Hz (f64), length (i64 ns); each row's start, codes."""
    if not rows:
        return SPECTRA_HEAD.pack(0, 0, 0.0, 0.0, 0)
    last = rows[-1]
    bins = bins_of(rows)
    mine = [row for row in rows if (row.low_hz, row.high_hz) == (last.low_hz, last.high_hz)]
    head = SPECTRA_HEAD.pack(bins, len(mine), float(last.low_hz), float(last.high_hz), last.length_ns)
    parts = (struct.pack("<q", row.start_ns) + row.max_hold.ljust(bins, b"\0")[:bins] for row in mine)
    return head + b"".join(parts)


def lane(row: Row) -> dict[str, Any]:
    """Return a row for the time lanes: gate, reason with clause and values, transmissions, clock, incumbents."""
    return {
        "t": row.start_ns,
        "n": row.length_ns,
        "g": row.gate,
        "o": row.open_ms,
        "b": row.bursts,
        "r": row.reason,
        "c": row.clause,
        "m": readable(row.measured),
        "q": readable(row.required),
        "k": [row.time_trusted, row.clock_bound_ns, row.clock_budget_ns],
        "i": [[i.low_hz, i.high_hz, i.kind] for i in row.incumbents],
    }
