"""Test rig: one real warden on the simulated air, with the benchmark as its agent, which settles, beats and sends.

The cause of a closing happens at a known instant of the monotonic clock; the oracle says when the power ended.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.bench.gate.settler import Settler
from agent.config.settings import load
from agent.node.traffic import Traffic
from agent.node.warden_process import OPERATOR
from agent.node.warden_side import Protection, WardenSide
from agent.trial.folder import Layout
from radio.link import GateChange, WardenBeat
from radio.operator import OperatorError, ask
from settlement.chain.scope import Band
from settlement.core.reasons import Reason

NS = 1_000_000_000
MS = 1_000_000
HOLDER, USER = "holder", "user-a"
EIRP_MDBM = 20_000
SOON_NS, OPEN_NS = 400 * MS, 200 * MS
AFTER_NS = 40 * MS
PATIENCE_NS = 20 * NS
ARM_S = 3600


class RigFailed(Exception):
    """The warden did not act as expected; the message says what was awaited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingRound:
    """One closing: times of its cause (monotonic ns), of the gate's decision and of muting, and its emissions' bounds.

    Power between `opened_ns` and `over_ns` belongs to it.
    """

    cause: str
    cause_ns: int
    decided_ns: int
    muted_ns: int | None
    reason: str
    opened_ns: int
    over_ns: int


class Rig:
    """The benchmark's end of one warden."""

    def __init__(self, layout: Layout, config_path: Path, settler: Settler) -> None:
        self.config = load(config_path)
        self._settler = settler
        self.protection = Protection(hold_ns=10 * NS)
        self.warden = WardenSide(self.config, config_path, self.protection)
        low_hz, high_hz = layout.spec.channels_hz[0]
        self.band = Band(low_hz=low_hz, high_hz=high_hz)
        self._traffic = Traffic(self.config, eirp_mdbm=EIRP_MDBM, bandwidth_hz=high_hz - low_hz, seed=1)
        self._utc_ns = layout.utc_at_zero_ns
        self._free_ns = 0
        self.beating = True
        self.last_beat_ns = 0
        self._next_burst_ns = 0
        self.sid = b""
        self._told: deque[GateChange] = deque()
        self._said_last: WardenBeat | None = None

    def pump(self) -> None:
        """Act as the agent for a few milliseconds: read the gate's messages, beat, send while a settlement is open."""
        self.warden.link.wait(1)
        now_ns = time.monotonic_ns()
        heard = self.warden.link.receive()
        self._told += [m for m in heard if isinstance(m, GateChange)]
        self._said_last = next((m for m in reversed(heard) if isinstance(m, WardenBeat)), self._said_last)
        if self.beating:
            self.warden.listened_ns = now_ns
            self.warden.beat(now_ns)
            self.last_beat_ns = now_ns
            if self.sid and now_ns >= self._next_burst_ns:
                self._next_burst_ns = now_ns + self.config.radio.frame_us * 1000
                self.warden.burst(self.sid, self._traffic.burst())

    def until(self, what: str, found: Callable[[GateChange], bool]) -> GateChange:
        """Act as the agent until the gate reports what is awaited; raises RigFailed."""
        deadline_ns = time.monotonic_ns() + PATIENCE_NS
        last = "nothing"
        while time.monotonic_ns() < deadline_ns:
            self.pump()
            while self._told:
                change = self._told.popleft()
                if found(change):
                    return change
                last = f"{change.state} {change.reason} {change.measured}"
        raise RigFailed(f"waited for {what} in vain; the gate told last: {last}")

    def await_warden(self) -> None:
        """Wait until the warden is up, armed and only lacks a settlement; raises RigFailed."""
        deadline_ns = time.monotonic_ns() + PATIENCE_NS
        while self._said_last is None or self._said_last.reason != Reason.NO_PERMIT.value:
            if time.monotonic_ns() > deadline_ns:
                raise RigFailed(f"the warden did not come up: it said last {self._said_last}")
            self.pump()

    def live_until(self, at_ns: int) -> None:
        """Act as the agent until an instant of the monotonic clock."""
        while time.monotonic_ns() < at_ns:
            self.pump()

    def open(self, *, for_ns: int) -> tuple[int, int]:
        """Settle the next free time and wait for an open gate; returns when it opened, and the window's end.

        Both monotonic ns.
        """
        begin_ns = max(time.monotonic_ns() + SOON_NS, self._free_ns)
        self._free_ns = begin_ns + for_ns + 2 * MS
        self.sid, artifact = self._settler.settle(
            self.band, start_ns=begin_ns + self._utc_ns, end_ns=begin_ns + for_ns + self._utc_ns, eirp_mdbm=EIRP_MDBM
        )
        self.warden.permit(artifact)
        sid = self.sid
        opened = self.until("an open gate", lambda c: c.state == "OPEN" and c.sid == sid and not c.asked)
        return opened.at_ns, (begin_ns + for_ns + self._utc_ns) // MS * MS - self._utc_ns

    def closed(self, cause: str, *, cause_ns: int | None, opened_ns: int) -> ClosingRound:
        """Wait for a closed gate; with `cause_ns` None the cause is the instant of the decision. Raises RigFailed."""
        change = self.until(f"a closed gate ({cause})", lambda c: c.previous == "OPEN" and c.state != "OPEN")
        self.live_until(time.monotonic_ns() + AFTER_NS)
        # The gate may reopen at once, as when a clock recovers: later samples do not belong to this closing.
        reopened = next((c.at_ns for c in self._told if c.state == "OPEN" and not c.asked), None)
        over_ns = time.monotonic_ns() if reopened is None else reopened
        self._told.clear()
        self.beating, self.sid = True, b""
        return ClosingRound(
            cause=cause,
            cause_ns=change.at_ns if cause_ns is None else cause_ns,
            decided_ns=change.at_ns,
            muted_ns=change.muted_ns,
            reason=change.reason,
            opened_ns=opened_ns,
            over_ns=over_ns,
        )

    def come_back(self) -> None:
        """Recover from a fault as an operator: wait for a silent device, clear, arm; raises RigFailed."""
        deadline_ns = time.monotonic_ns() + PATIENCE_NS
        while "error" in (said := self._ask({"op": "clear"})):
            if time.monotonic_ns() > deadline_ns:
                raise RigFailed(f"the warden did not come back: {said['error']}")
            self.pump()
        self._ask({"op": "arm", "for_s": ARM_S})
        self._said_last = None
        self.await_warden()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return ask(self.config.run_folder / OPERATOR, request)
        except OperatorError as exc:
            return {"error": str(exc)}

    def stop(self) -> None:
        """End the warden."""
        self.warden.stop()
