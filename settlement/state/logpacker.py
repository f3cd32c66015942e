"""Frees, for new entries, the space of deleted bodies in a log's file (see `retention`).

Behind the cursor of retention, kind by kind, one step packs the pages of one stretch of rows (`chain.packedrows`),
once for each kind that frees much space: where fewer than one row in LEAST is a stub of the kind, there is little to
gain. A counter in the log keeps each kind's progress; a log without the counter is packed from its first entry on, a
stretch a second.
"""

from typing import Final

from settlement.chain.lineage import Lineage
from settlement.core.fixes import TimeFix
from settlement.records.registry import TYPE_OF
from settlement.state.due import is_due
from settlement.state.retention import CURSOR, KINDS
from settlement.state.step import Step

EVERY_NS: Final = 1_000_000_000
"""Time between two stretches: a node makes a few entries in that time, so packing keeps up at little cost."""
QUIET_NS: Final = 60_000_000_000
"""Time until the next look after one that found nothing to do."""
STRETCH: Final = 64
"""Rows whose pages are packed in one step: 45 pages are written, in 1 to 2 ms."""
LEAST: Final = 8
"""Least density of stubs: with one stub of the kind in so many rows packing frees a twentieth of the space."""
LOOKED_AT: Final = 16
"""Stretches examined in one step: most of a rare kind are not worth packing."""
PACKED: Final = "packed:"


class LogPacker:
    """The packer of one node's log, driven by its ticks; all its lasting state is in the log."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._next_ns = 0
        self.due_ns: int | None = None
        """When the next stretch may be packed (UTC, ns); None where the last look found none."""

    def is_due(self, now: TimeFix) -> bool:
        """Whether the next look is due."""
        return is_due(self._next_ns, now.latest_ns, apart_ns=QUIET_NS)

    def act(self, step: Step) -> int:
        """Pack one stretch, where one is worth it; return its number of rows."""
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
        """Continue with one kind; return how many rows were examined, and how many of them packed."""
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
