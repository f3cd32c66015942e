"""Gives back, for new entries, the room that bodies leave in a log's file once they were let go (`retention`).

Behind what retention has decided on, kind by kind, the pages of one stretch of rows are brought together in a step
(`chain.packedrows`), once for each kind that leaves much room: where fewer than one row in LEAST is a stub of the kind,
there is little to win. How far each kind came is a counter of the log; a log from before has none, and is packed from
its first entry on, a stretch a second.
"""

from typing import Final

from settlement.chain.lineage import Lineage
from settlement.core.fixes import TimeFix
from settlement.records.registry import TYPE_OF
from settlement.state.due import is_due
from settlement.state.retention import CURSOR, KINDS
from settlement.state.step import Step

EVERY_NS: Final = 1_000_000_000
"""From one stretch to the next: a node makes a few entries in that time, so that packing keeps up, and hardly shows."""
QUIET_NS: Final = 60_000_000_000
"""From one look to the next where the last found nothing to do."""
STRETCH: Final = 64
"""Rows whose pages are brought together in one step: 45 pages are written, in a ms or two."""
LEAST: Final = 8
"""One stub of the kind in so many rows makes a stretch worth it: a twentieth of its room."""
LOOKED_AT: Final = 16
"""Stretches looked at in one step: most of a rare kind are not worth it."""
PACKED: Final = "packed:"


class LogPacker:
    """One node's, driven by its ticks; all that lasts of it is in the log."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._next_ns = 0
        self.due_ns: int | None = None
        """When the next stretch may be packed (UTC, ns); None where the last look found none."""

    def is_due(self, now: TimeFix) -> bool:
        """Whether it is time for another look."""
        return is_due(self._next_ns, now.latest_ns, apart_ns=QUIET_NS)

    def act(self, step: Step) -> int:
        """Pack one stretch, where one is worth it; returns how many rows it has."""
        now_ns = step.now.time.latest_ns
        if not self.is_due(step.now.time):
            return 0
        for kind in KINDS:
            seen, packed = self._kind(kind)
            if seen:
                self._next_ns = self.due_ns = now_ns + EVERY_NS
                return packed
        self._next_ns, self.due_ns = now_ns + QUIET_NS, None
        return 0

    def _kind(self, kind: str) -> tuple[int, int]:
        """Go on with one kind: how many rows were looked at, and how many of them packed."""
        lineage, cursor = self._lineage, f"{PACKED}{kind}"
        first = at = lineage.counted(cursor)
        decided = min(lineage.counted(f"{CURSOR}{kind}"), first + LOOKED_AT * STRETCH)
        packed = 0
        while at + STRETCH <= decided and not packed:
            if lineage.pruned_among(TYPE_OF[KINDS[kind]], at, at + STRETCH) * LEAST >= STRETCH:
                lineage.pack(at, at + STRETCH)
                packed = STRETCH
            at += STRETCH
        if at > first:
            lineage.count(cursor, at - first)
        return at - first, packed
