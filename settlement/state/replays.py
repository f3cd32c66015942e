"""Counts repeated records: the first few repeats are logged, later ones only answered. Bounded, in memory only."""

from settlement.chain.credentials import Subject
from settlement.chain.records import Unproven, parse

LOGGED = 3
KEPT_MAX = 4096


def passed_on(raw: bytes, peer: Subject | None) -> bool:
    """Whether a record is a repeat of one that neighbours pass on by design, from another than its author."""
    unproven = parse(raw)
    known = isinstance(unproven, Unproven) and unproven.row.passed_on
    return known and peer is not None and isinstance(unproven, Unproven) and unproven.author != peer.hash


class Replays:
    """Counts of the records repeated last; the least recently seen are dropped first."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def to_log(self, subject: bytes) -> bool:
        """Count one more repeat; return whether it is still to be logged."""
        count = self._counts.pop(subject, 0) + 1
        self._counts[subject] = count
        if len(self._counts) > KEPT_MAX:
            del self._counts[next(iter(self._counts))]
        return count <= LOGGED

    def __len__(self) -> int:
        """Return how many records are counted."""
        return len(self._counts)
