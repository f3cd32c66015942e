"""Verifies the whole log in a separate process after a node started from a snapshot, and reports the result."""

import time
from typing import Final

from agent.node.events import EventLog
from settlement.chain.logcheck import Scrubbing
from settlement.core.reasons import Reason
from settlement.party.party import Party
from settlement.state.step import Step

AGAIN_NS: Final = 60_000_000_000
"""Delay in ns before a retry where the reading process could not start or ended without an answer."""


class LogReading:
    """Runs one reading process at a time, until the log was read whole or found altered."""

    def __init__(self, party: Party, events: EventLog) -> None:
        self._party, self._events = party, events
        self._running: Scrubbing | None = None
        self._next_ns = 0
        self._began_ns = 0

    def tell_start(self) -> None:
        """Write an event on how the log was read at the start, where there is something to report."""
        start = self._party.start
        if start.read_from:
            self._events.write("log", read_from=start.read_from, entries=self._party.lineage.size)
        elif start.why and self._party.lineage.size:
            self._events.write("log", read_from=0, entries=self._party.lineage.size, why=start.why)

    def act(self, step: Step) -> None:
        """Start the reading process, or take its answer: the party continues, or halts."""
        lineage, now_ns = self._party.lineage, time.monotonic_ns()
        if self._running is None:
            if lineage.unread and now_ns >= self._next_ns:
                self._begin(now_ns)
            return
        if not self._running.done():
            return
        refusal = self._running.answer()
        self.close()
        took_s = (now_ns - self._began_ns) / 1e9
        if refusal is not None and refusal.reason is Reason.FAULT:
            self._next_ns = now_ns + AGAIN_NS
            self._events.write("fault", duty="reading the log", detail=str(refusal))
            return
        self._party.scrubbed(step, refusal)
        self._events.write("log read", entries=lineage.size, took_s=round(took_s, 3), holds=refusal is None)

    def _begin(self, now_ns: int) -> None:
        identity = self._party.identity
        former = [one.key.public for one in self._party.former.values()]
        self._began_ns, self._next_ns = now_ns, now_ns + AGAIN_NS
        try:
            lineage = self._party.lineage
            self._running = Scrubbing(lineage.path.resolve(), lineage.origin, identity.key.public, former)
        except OSError as exc:
            self._events.write("fault", duty="reading the log", detail=str(exc))

    def close(self) -> None:
        """End the reading process."""
        if self._running is not None:
            self._running.close()
            self._running = None
