"""How wide the spectra of a window are, and that all of them together are not too many to hold at once."""

from collections.abc import Sequence
from typing import Final

from agent.history.rows import Row
from agent.history.store import NoHistory

LEVELS_MAX: Final = 1 << 26
"""Levels of all stretches of one window together: a day of seconds with the widest spectrum of ours has 22 million."""


def bins_of(rows: Sequence[Row]) -> int:
    """The bins of the widest spectrum. Raises NoHistory where one is so wide that all, as wide, would not fit."""
    bins = max((len(row.max_hold) for row in rows), default=0)
    if bins * len(rows) > LEVELS_MAX:
        raise NoHistory(f"{len(rows)} spectra of {bins} bins are more than {LEVELS_MAX} levels; ask for a shorter time")
    return bins
