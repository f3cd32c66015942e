"""Text on the content of a record or a lease: band, power, place and times."""

import time
from typing import Any

from agent.words.units import length_text, place_text, power_text
from settlement.chain.scope import Area, Cell, Window


def utc_text(utc_ns: int) -> str:
    """An instant of UTC for people, to the millisecond, such as `2026-11-28 12:00:00.250Z`."""
    try:
        day = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(utc_ns // 10**9))
    except (OverflowError, ValueError, OSError):
        return f"{utc_ns} ns of UTC"
    return f"{day}.{utc_ns // 10**6 % 1000:03d}Z"


def window_text(window: Window) -> str:
    """Return start and end of a window; the day is repeated only where it changes."""
    start, end = utc_text(window.start_ns), utc_text(window.end_ns)
    same = start[:10] == end[:10] and len(start) == len(end)
    return f"{start} to {end[11:] if same else end}"


def area_text(area: Area) -> str:
    """Return a circle as text, or an outline by its number of corners."""
    where = place_text(*area.anchor)
    if area.outline is not None:
        return f"an outline of {len(area.outline)} corners from {where}"
    return f"within {length_text(area.radius_mm or 0)} of {where}"


def cell_text(cell: Cell, eirp_mdbm: int | None = None) -> str:
    """Return band, power, place and window of what was offered, requested or granted."""
    power = f", {power_text(eirp_mdbm)} EIRP" if eirp_mdbm is not None else ""
    return f"{cell.band}{power}, {window_text(cell.window)}, {area_text(cell.area)}"


def about(body: Any) -> str:
    """Return a record body's band, power, place and times as text; "" where it has none."""
    cell: Cell | None = getattr(body, "cell", None)
    eirp: int | None = getattr(body, "eirp_mdbm", getattr(body, "max_eirp_mdbm", None))
    said = [cell_text(cell, eirp)] if cell is not None else []
    for name, words in (
        ("transmit_until_ns", "transmit until"),
        ("vacate_by_ns", "vacate by"),
        ("valid_until_ns", "valid until"),
        ("fresh_until_ns", "fresh until"),
        ("at_earliest_ns", "at"),
    ):
        value = getattr(body, name, None)
        if isinstance(value, int):
            said.append(f"{words} {utc_text(value)}")
    return ", ".join(said)
