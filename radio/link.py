"""What agent and warden say to each other over a local ZeroMQ socket: small typed messages, CBOR, one frame.

The link carries no authority: a permit is bytes that the warden verifies itself, and silence from either side mutes.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cbor2
import zmq


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBeat:
    """The agent is alive; what sensing last found, incumbents as [low_hz, high_hz], times monotonic ns."""

    listened_ns: int | None
    incumbents_hz: list[list[int]]
    cause_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPermit:
    """An artifact to verify."""

    artifact: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLease:
    """A RENEW record to verify."""

    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspend:
    """Stop using a settlement, for good; `cause_ns` is when the agent knew (monotonic)."""

    sid: bytes
    reason: str
    detail: str
    cause_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Samples to send are in the transmit ring under this ticket, meant for that settlement."""

    sid: bytes
    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Samples taken are in the receive ring under this ticket."""

    ticket: int
    sequence: int
    earliest_ns: int
    latest_ns: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WardenBeat:
    """The warden is alive; what its gate says and whether the output radiates, by readback."""

    state: str
    reason: str
    sid: bytes | None
    bursts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChange:
    """The gate moved, or (`asked`) refused what it was handed; `at_ns` and `cause_ns` are monotonic."""

    state: str
    previous: str
    reason: str
    clause: str
    measured: str
    required: str
    sid: bytes | None
    at_ns: int
    cause_ns: int
    muted_ns: int | None
    asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What was sent under a settlement, when it ended for the gate (monotonic ns)."""

    sid: bytes
    bursts: int
    airtime_ns: int
    first_ns: int | None
    last_ns: int | None


LinkMessage: TypeAlias = AgentBeat | NewPermit | NewLease | Suspend | Burst | Look | WardenBeat | GateChange | Used
_KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in (AgentBeat, NewPermit, NewLease, Suspend, Burst, Look, WardenBeat, GateChange, Used)
}


class Link:
    """One end of the local socket; the warden binds, the agent connects."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", path: Path, *, bind: bool) -> None:
        self.socket = context.socket(zmq.PAIR)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.SNDHWM, 256)
        self.socket.setsockopt(zmq.RCVHWM, 256)
        endpoint = f"ipc://{path}"
        if bind:
            self.socket.bind(endpoint)
            path.chmod(0o600)
        else:
            self.socket.connect(endpoint)

    def send(self, message: LinkMessage) -> bool:
        """Hand a message over; False when the other side takes none. Never blocks."""
        try:
            self.socket.send(cbor2.dumps([type(message).__name__, asdict(message)]), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self) -> list[LinkMessage]:
        """What has arrived; never blocks. A message of no known kind is dropped."""
        arrived: list[LinkMessage] = []
        while True:
            try:
                kind, fields = cbor2.loads(self.socket.recv(zmq.NOBLOCK))
            except zmq.Again:
                return arrived
            if kind in _KINDS:
                arrived.append(_KINDS[kind](**fields))
