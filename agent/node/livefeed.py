"""Publishes a node's live state to connected readers: state, gate, events, each second's tally, waterfall rows.

A ZeroMQ publishing socket in the node's run folder, which only its owner can open. A topic without subscribers is not
produced: without a reader of rows no row is encoded, at no cost to the node's loop.

A message is two parts, topic and body: `state`, `gate`, `event` JSON; `second` CBOR, a history row; `row` binary:
monotonic ns, UTC ns (i64, i64), low Hz, high Hz (f64, f64), flags, bins (u32, u32), then one byte a bin, `tally.coded`.
"""

import json
import os
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import cbor2
import zmq

from agent.config.settings import NodeConfig
from agent.history.rows import Row
from agent.history.tally import Instant, LookTally, coded
from agent.node.watcher import Watcher
from hw_profiles.leftover import clear_away
from radio.link import GateChange, WardenBeat
from sensing.results import ChannelReport, LookResult
from settlement.core.fixes import Fix, TimeFix

SOCKET: Final = "feed"
STATE, GATE, EVENT, SECOND, ROW = b"state", b"gate", b"event", b"second", b"row"
TOPICS: Final = (STATE, GATE, EVENT, SECOND, ROW)
ROW_HEAD: Final = struct.Struct("<qqddII")
OWNER_ONLY: Final = 0o177
ROWS_WAITING: Final = 64
LOOK_NS: Final = 50_000_000
NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SensedRow:
    """One look as a row of the waterfall."""

    mono_ns: int
    flags: int
    codes: bytes


@dataclass(slots=True)
class GateTrack:
    """Tracks the gate between two queries: how long it was open, and the last reason that kept it shut."""

    state: str = "UNKNOWN"
    reason: str = ""
    clause: str = ""
    measured: str = ""
    required: str = ""
    bursts: int = 0
    _bursts_before: int | None = None
    _open_ns: int = 0
    _since_ns: int | None = None

    def moved(self, state: str, at_ns: int) -> None:
        """Note the gate's state from an instant (monotonic ns) on."""
        if state == "OPEN" and self._since_ns is None:
            self._since_ns = at_ns
        elif state != "OPEN" and self._since_ns is not None:
            self._open_ns += max(0, at_ns - self._since_ns)
            self._since_ns = None
        self.state = state

    def said(self, word: GateChange | WardenBeat, at_ns: int) -> None:
        """Note a gate change or a heartbeat of the warden."""
        self.moved(word.state, at_ns)
        self.reason = word.reason
        if word.state != "OPEN":
            self.clause, self.measured, self.required = word.clause, word.measured, word.required
        if isinstance(word, WardenBeat):
            before = word.bursts if self._bursts_before is None else self._bursts_before
            self.bursts += max(0, word.bursts - before)
            self._bursts_before = word.bursts

    def take(self, now_ns: int) -> tuple[int, int]:
        """Return milliseconds open and bursts sent since the last call."""
        if self._since_ns is not None:
            self._open_ns += max(0, now_ns - self._since_ns)
            self._since_ns = now_ns
        taken = self._open_ns // 1_000_000, self.bursts
        self._open_ns = self.bursts = 0
        return taken


@dataclass(slots=True)
class Showing:
    """The agent's end of the feed. One loop owns it; only `look` is called from the sensing thread."""

    folder: Path
    node: str
    tally: LookTally
    gate: GateTrack = field(default_factory=GateTrack)
    rows_wanted: bool = False
    _rows: deque[SensedRow] = field(default_factory=lambda: deque(maxlen=ROWS_WAITING))
    _readers: dict[bytes, int] = field(default_factory=dict)
    _next_look_ns: int = 0
    _context: "zmq.Context[zmq.Socket[bytes]]" = field(default_factory=lambda: zmq.Context(io_threads=1))
    _socket: "zmq.Socket[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.SNDHWM, 256)
        self._socket.setsockopt(zmq.MAXMSGSIZE, 64)
        path = self.folder / SOCKET
        path.unlink(missing_ok=True)
        before = os.umask(OWNER_ONLY)
        try:
            self._socket.bind(f"ipc://{path}")
        finally:
            os.umask(before)

    def _heard_by(self, topic: bytes) -> bool:
        return any(topic.startswith(prefix) for prefix, count in self._readers.items() if count)

    def _follow_readers(self) -> None:
        while True:
            try:
                word = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if word[:1] in (b"\x00", b"\x01"):
                # XPUB reports only the first and the last subscriber of a topic.
                self._readers[word[1:]] = word[0]
        self.rows_wanted = self._heard_by(ROW)

    def _send(self, topic: bytes, body: bytes) -> None:
        if not self._heard_by(topic):
            return
        try:
            self._socket.send_multipart([topic, body], zmq.NOBLOCK)
        except zmq.Again:
            return

    # -- what is shown -------------------------------------------------------------------------------------------

    def look(self, result: LookResult, usable: bool) -> None:
        """Count one look in the second's tally, and queue it as a waterfall row where a reader wants rows.

        Called from the sensing thread. A look that is not `usable` becomes a row of zeros.
        """
        self.tally.add(result, usable=usable)
        if self.rows_wanted:
            codes = coded(result.psd).tobytes() if usable else bytes(len(result.psd))
            self._rows.append(SensedRow(mono_ns=result.start_ns, flags=result.flags.value, codes=codes))

    def turn(self, now_ns: int, fix: Callable[[], Fix]) -> bool:
        """Take in subscriptions and send the rows that wait; returns whether anyone subscribes to waterfall rows."""
        if now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + LOOK_NS
            self._follow_readers()
        if not self._rows:
            return self.rows_wanted
        low_hz, high_hz = self.tally.edges_hz
        time_fix = fix().time
        while self._rows:
            row = self._rows.popleft()
            utc_ns = time_fix.middle_ns - (now_ns - row.mono_ns)
            head = ROW_HEAD.pack(row.mono_ns, utc_ns, float(low_hz), float(high_hz), row.flags, len(row.codes))
            self._send(ROW, head + row.codes)
        return self.rows_wanted

    def moved(self, change: GateChange) -> None:
        """Publish a change of the gate at once."""
        if not change.asked:
            self.gate.said(change, change.at_ns)
        if self._heard_by(GATE):
            told = {key: value.hex() if isinstance(value, bytes) else value for key, value in asdict(change).items()}
            self._send(GATE, json.dumps({**told, "told_ns": time.monotonic_ns()}).encode())

    def happened(self, name: str, fields: dict[str, object]) -> None:
        """Publish an event as the event log has it."""
        if self._heard_by(EVENT):
            told = {"mono_ns": time.monotonic_ns(), "event": name, **fields}
            self._send(EVENT, json.dumps(told, default=str).encode())

    def second(
        self, status: dict[str, Any], reports: tuple[ChannelReport, ...], time_fix: TimeFix, now_ns: int
    ) -> None:
        """Publish the tally of a second that is over, and the whole state."""
        open_ms, bursts = self.gate.take(now_ns)
        if self._heard_by(SECOND):
            clock, gate = status["clock"], self.gate
            late = status["late"] is not None or not status["warden"] or status["gate"] is None
            now = Instant(
                start_ns=(time_fix.middle_ns - NS) // NS * NS,
                time_trusted=bool(clock["trusted"]),
                clock_bound_ns=clock["bound_ns"],
                clock_budget_ns=clock["budget_ns"],
                clock_reason=str(clock["reason"]),
                gate="UNKNOWN" if late else gate.state,
                reason=gate.reason,
                clause=gate.clause if gate.state != "OPEN" else "",
                measured=gate.measured if gate.state != "OPEN" else "",
                required=gate.required if gate.state != "OPEN" else "",
                open_ms=open_ms,
                bursts=bursts,
            )
            self._send(SECOND, encoded_row(self.tally.take(now, reports)))
        if self._heard_by(STATE):
            self._send(STATE, json.dumps({**status, "utc_ns": time_fix.middle_ns}).encode())

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        self._context.term()
        clear_away(self.folder / SOCKET)


def showing_of(config: NodeConfig, watcher: Watcher) -> Showing:
    """Return a node's feed, connected to what its watcher senses."""
    radio = config.radio
    half_hz = radio.sample_rate_hz // 2
    edges_hz = (radio.rx_center_hz - half_hz, radio.rx_center_hz + half_hz)
    shown = Showing(folder=config.run_folder, node=config.name, tally=LookTally(watcher.channels, edges_hz))
    watcher.listener = shown.look
    return shown


def encoded_row(row: Row) -> bytes:
    """Encode a history row for the process that keeps the history."""
    return bytes(cbor2.dumps(asdict(row)))
