"""How often a record came again: the first few times are logged, then only answered. Bounded, and in memory alone."""

from settlement.chain.credentials import Subject
from settlement.chain.records import Unproven, parse

LOGGED = 3
KEPT_MAX = 4096


def passed_on(raw: bytes, peer: Subject | None) -> bool:
    """A second copy of what neighbours pass on by design, from another than its author: nothing is refused."""
    unproven = parse(raw)
    known = isinstance(unproven, Unproven) and unproven.row.passed_on
    return known and peer is not None and isinstance(unproven, Unproven) and unproven.author != peer.hash


class Replays:
    """Counts for the records that came again last; what was not seen for long is forgotten first."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def to_log(self, subject: bytes) -> bool:
        """Count one more; whether it is still worth an entry."""
        count = self._counts.pop(subject, 0) + 1
        self._counts[subject] = count
        if len(self._counts) > KEPT_MAX:
            del self._counts[next(iter(self._counts))]
        return count <= LOGGED

    def __len__(self) -> int:
        """How many records are counted."""
        return len(self._counts)
