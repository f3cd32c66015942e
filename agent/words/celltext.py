"""What a record or a lease is about, in words: band, power, place and times."""

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
    """From when to when; the day is said twice only where it changes."""
    start, end = utc_text(window.start_ns), utc_text(window.end_ns)
    same = start[:10] == end[:10] and len(start) == len(end)
    return f"{start} to {end[11:] if same else end}"


def area_text(area: Area) -> str:
    """A circle, or an outline by the number of its corners."""
    where = place_text(*area.anchor)
    if area.outline is not None:
        return f"an outline of {len(area.outline)} corners from {where}"
    return f"within {length_text(area.radius_mm or 0)} of {where}"


def cell_text(cell: Cell, eirp_mdbm: int | None = None) -> str:
    """Band, power, place and window of what was offered, asked for or granted."""
    power = f", {power_text(eirp_mdbm)} EIRP" if eirp_mdbm is not None else ""
    return f"{cell.band}{power}, {window_text(cell.window)}, {area_text(cell.area)}"


def about(body: Any) -> str:
    """What a record's body says of band, power, place and times; nothing where it has none of them."""
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
