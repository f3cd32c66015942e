"""Bounds the spectra of a window: their common width, and their total size in memory."""

from collections.abc import Sequence
from typing import Final

from agent.history.rows import Row
from agent.history.store import NoHistory

LEVELS_MAX: Final = 1 << 26
"""Most levels of all stretches of a window together: a day of seconds at the widest spectrum has 22 million."""


def bins_of(rows: Sequence[Row]) -> int:
    """Return the bins of the widest spectrum. Raises NoHistory where all spectra at that width would not fit."""
    bins = max((len(row.max_hold) for row in rows), default=0)
    if bins * len(rows) > LEVELS_MAX:
        raise NoHistory(f"{len(rows)} spectra of {bins} bins are more than {LEVELS_MAX} levels; ask for a shorter time")
    return bins
