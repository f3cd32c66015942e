"""Runs the settlement side of a node alone: party, mesh and outbox in one loop, without radio, gate or sensing.

One turn waits for an event, takes in all that arrived, decides in one durable step, and only then sends.
"""

import time
from collections.abc import Callable
from typing import Any

from agent.node.outbox import Outbox
from radio.speakers import Speakers
from settlement.core.fixes import Fix
from settlement.mesh import Mesh
from settlement.pair.effects import Effect
from settlement.party.party import Party
from settlement.state.step import Step

TICK_NS = 20_000_000
STEP_NS = 100_000_000
"""Interval in ns between steps while no deadline is due."""
HELLO_NS = 1_000_000_000


class Settling:
    """One party on its mesh; `do` carries out a durable step's effects, `hear(name, fields)` gets its notices."""

    def __init__(
        self,
        party: Party,
        mesh: Mesh,
        fix: Callable[[], Fix],
        *,
        do: Callable[[Effect], None],
        hear: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> None:
        self.party, self.mesh, self.fix, self._do, self._hear = party, mesh, fix, do, hear
        self.outbox = Outbox(mesh, party.registry, seed=int.from_bytes(party.identity.credential[:8], "big"))
        self.speakers = Speakers(*mesh.sockets)
        self._wanted: list[Callable[[Step], Any]] = []
        self._next_tick_ns = self._next_step_ns = self._next_hello_ns = 0

    def start(self) -> None:
        """Log what this node works with and ask the neighbours what they know of its log."""
        with self.party.step(self.fix()) as step:
            self.party.register(step)
            self.party.hello(step)
        self.leave(step)

    def want(self, action: Callable[[Step], Any]) -> None:
        """Queue an action for the next step."""
        self._wanted.append(action)

    def turn(self, wait_ms: int) -> None:
        """Wait at most `wait_ms` for an event, and handle all that arrived."""
        self.speakers.heard(0 if self._wanted else wait_ms)
        now_ns = time.monotonic_ns()
        arrived = self.mesh.receive()
        for key in self.mesh.entered():
            peer = self.party.registry.by_transport(key)
            if peer is not None:
                self.outbox.came_up(peer.hash)
        if arrived or self._wanted or self._ticks(now_ns):
            self._next_tick_ns, self._next_step_ns = now_ns + TICK_NS, now_ns + STEP_NS
            wanted, self._wanted = self._wanted, []
            with self.party.step(self.fix()) as step:
                for message in arrived:
                    self.party.receive(step, message.data, message.transport_key)
                self._work(step, wanted, now_ns)
            self.leave(step)
        self.outbox.retry(now_ns)

    def _ticks(self, now_ns: int) -> bool:
        """Return whether a step is due: a settlement deadline came, or the last step was long ago and work is open."""
        if now_ns < self._next_tick_ns:
            return False
        if self.party.halted is not None or (now_ns >= self._next_step_ns and self.party.due(self.fix())):
            return True
        due_ns = self.party.next_due_ns()
        if due_ns is not None and self.fix().time.latest_ns >= due_ns:
            return True
        self._next_tick_ns = now_ns + TICK_NS
        return False

    def stirs(self, now_ns: int) -> bool:
        """Return whether a turn at `now_ns` (monotonic) would do anything without a message."""
        return bool(self._wanted) or self._ticks(now_ns)

    def _work(self, step: Step, wanted: list[Callable[[Step], Any]], now_ns: int) -> None:
        if self.party.halted is None:
            self.party.tick(step)
            for action in wanted:
                action(step)
        else:
            self._wanted = wanted + self._wanted
            if now_ns >= self._next_hello_ns:
                self._next_hello_ns = now_ns + HELLO_NS
                self.party.hello(step)

    def leave(self, step: Step) -> None:
        """Send the messages, effects and notices of a step that is now durable."""
        now_ns = time.monotonic_ns()
        for outgoing in step.outgoing:
            self.outbox.send(outgoing, now_ns)
        for effect in step.effects:
            self._do(effect)
        if self._hear is not None:
            for notice in step.notices:
                self._hear(notice.name, notice.fields)

    def close(self) -> None:
        """Close the sockets and the log."""
        self.mesh.close()
        self.party.lineage.close()
