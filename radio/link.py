"""What agent and warden say to each other over a local ZeroMQ socket: small typed messages, CBOR, one frame.

The link carries no authority: a permit is bytes that the warden verifies itself, and silence from either side mutes.

Long because every message that the two know stands here.
"""

import itertools
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import cbor2
import zmq

from radio.speakers import RetriedWait


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBeat:
    """The agent lived at `said_ns`; what sensing last found, incumbents as [low_hz, high_hz], times monotonic ns."""

    said_ns: int
    listened_ns: int | None
    incumbents_hz: list[list[int]]
    cause_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPermit:
    """An artifact to verify."""

    artifact: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLease:
    """A RENEW, SUSPEND or RESUME record to verify."""

    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHanding:
    """A HANDOVER or RECLAIM record of the settlement `sid` to verify: less of it may be used from then on, or all."""

    sid: bytes
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BandVacated:
    """The radio is silent in what a HANDOVER (its name) hands on, at `at_ns` (monotonic) and from then on."""

    sid: bytes
    handover: bytes
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule:
    """A rule to verify, with the credentials of its authority, root first."""

    record: bytes
    chain: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A rotation of this node's own key to verify."""

    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
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
class TimedBurst:
    """A program's samples to send are in its ring under this ticket, meant for that settlement and that instant.

    They begin at `at_ns` (monotonic) or a little later, or they are dropped.
    """

    sid: bytes
    ticket: int
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorBeat:
    """What the door for a program's samples needs to know of the gate, and what became of its bursts, in totals.

    `low_hz`, `high_hz` and `eirp_mdbm` are the permit's; `why` is the last refusal of a burst.
    """

    state: str
    reason: str
    sid: bytes | None
    low_hz: int | None
    high_hz: int | None
    eirp_mdbm: int | None
    sent: int
    late: int
    refused: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookTaken:
    """Samples taken are in the receive ring under this ticket."""

    ticket: int
    sequence: int
    earliest_ns: int
    latest_ns: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WardenBeat:
    """The warden is alive; what its gate says, and how late its loop ran of late.

    While the gate is open it will be silent by `silent_by_ns` (monotonic); whoever sees it is not may silence it. It is
    armed until `armed_until_ns` (monotonic), or not at all. `clause`, `measured` and `required` are of the decision
    that keeps the radio silent now, empty while the gate is open.
    """

    state: str
    reason: str
    sid: bytes | None
    bursts: int
    silent_by_ns: int | None
    worst_turn_ns: int
    armed_until_ns: int | None = None
    clause: str = ""
    measured: str = ""
    required: str = ""


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
class StationTold:
    """When a base station below may be on in a band, for a receiver that listens after its end (monotonic ns).

    It may be on from `since_ns` to `on_until_ns` and is silent from `silent_from_ns`; its settlement's window ends at
    `alone_until_ns`.
    """

    device: str
    sid: bytes
    low_hz: int
    high_hz: int
    since_ns: int
    on_until_ns: int
    silent_from_ns: int
    alone_until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StationHeard:
    """What the agent's receiver found of a base station after its end; it can only take something away."""

    device: str
    low_hz: int
    high_hz: int
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StationCleared:
    """A person looked into what was heard of a base station: the alarm is over, and it is listened for anew."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerMeasured:
    """At most so much was received in a band on average (mdBm), for a SAS above that asks; told until `until_ns`."""

    low_hz: int
    high_hz: int
    most_mdbm: int
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What was sent under a settlement, when it ended for the gate (monotonic ns)."""

    sid: bytes
    bursts: int
    airtime_ns: int
    first_ns: int | None
    last_ns: int | None


FromAgent: TypeAlias = (
    AgentBeat | NewPermit | NewLease | NewHanding | NewRule | NewKey | Withdraw | Burst | StationHeard | PowerMeasured
)
ToAgent: TypeAlias = DoorBeat | LookTaken | WardenBeat | GateChange | Used | StationTold | StationCleared | BandVacated
LinkMessage: TypeAlias = FromAgent | TimedBurst | ToAgent
_KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        AgentBeat,
        NewPermit,
        NewLease,
        NewHanding,
        NewRule,
        NewKey,
        Withdraw,
        Burst,
        TimedBurst,
        DoorBeat,
        LookTaken,
        WardenBeat,
        GateChange,
        Used,
        BandVacated,
        StationTold,
        StationHeard,
        StationCleared,
        PowerMeasured,
    )
}


def _allowed(declared: object) -> frozenset[str] | str:
    """The names of the types that a field's value may have; of lists, how they are declared: `list[list[int]]`."""
    written = str(declared) if hasattr(declared, "__origin__") else getattr(declared, "__name__", str(declared))
    return written if written.startswith("list[") else frozenset(written.replace("None", "NoneType").split(" | "))


_DECLARED = {name: {f.name: _allowed(f.type) for f in fields(kind)} for name, kind in _KINDS.items()}
# As plain numbers: flags of an enumeration take longer to combine than the socket takes to answer.
_EVENTS, _POLLIN, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)


def decode(data: bytes) -> LinkMessage | None:
    """Bytes to a message, every field of its declared type; None for anything else."""
    try:
        name, values = cbor2.loads(data)
        declared = _DECLARED[name]
        if set(values) != set(declared) or not all(_fits(values[key], declared[key]) for key in declared):
            return None
        message: LinkMessage = _KINDS[name](**values)
    except (ValueError, TypeError, KeyError, cbor2.CBORDecodeError):
        return None
    return message


def _fits(value: object, declared: frozenset[str] | str) -> bool:
    """Whether a value is of a declared type; lists of bands are lists of pairs of integers."""
    if declared == "list[list[int]]":
        return isinstance(value, list) and all(
            isinstance(pair, list) and len(pair) == 2 and all(type(edge) is int for edge in pair) for pair in value
        )
    if declared == "list[bytes]":
        return isinstance(value, list) and all(isinstance(one, bytes) for one in value)
    return type(value).__name__ in declared


class Link:
    """One end of the local socket; the warden binds, the agent connects. `mode`: who may, as of any file."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", path: Path, *, bind: bool, mode: int = 0o600) -> None:
        self.socket = context.socket(zmq.PAIR)
        self._retried = RetriedWait()
        self.others: Callable[[], list[int]] | None = None
        """What else ends a wait: descriptors that become readable, asked for at each."""
        self.socket.linger, self.socket.sndhwm, self.socket.rcvhwm = 0, 256, 256
        self.descriptor = int(self.socket.fileno())
        if bind:
            self.socket.bind(f"ipc://{path}")
            path.chmod(mode)
        else:
            self.socket.connect(f"ipc://{path}")

    def wait(self, timeout_ms: float) -> bool:
        """Wait until something has arrived or one of `others` is readable, so long at most (to the ms with none).

        A wait that fails heard nothing. Raises WaitFailed once that goes on for long.
        """
        return self._retried.heard(partial(self._waited, timeout_ms), or_else=False)

    def _waited(self, timeout_ms: float) -> bool:
        if self.others is None:
            return bool(self.socket.poll(round(timeout_ms)))
        until = time.monotonic() + timeout_ms / 1000
        while not self.waits():
            ready, _, _ = select.select([self.descriptor, *self.others()], [], [], max(0.0, until - time.monotonic()))
            # Readable without a message is the library's own traffic, such as a message of ours that was taken.
            if ready != [self.descriptor] or time.monotonic() >= until:
                return self.descriptor in ready and self.waits()
        return True

    def waits(self) -> bool:
        """Whether a message waits; ask before waiting for `descriptor`, which tells of the next one only."""
        return bool(int(self.socket.getsockopt(_EVENTS)) & _POLLIN)

    def close(self) -> None:
        """Let go of this end; what was not sent yet is dropped."""
        self.socket.close()

    def send(self, message: LinkMessage) -> bool:
        """Hand a message over; False when the other side takes none. Never blocks."""
        values = {name: getattr(message, name) for name in _DECLARED[type(message).__name__]}
        try:
            self.socket.send(cbor2.dumps([type(message).__name__, values]), _NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self, most: int | None = None) -> list[LinkMessage]:
        """What has arrived, at most so many; never blocks. What is no message, field by field, is dropped."""
        arrived: list[LinkMessage] = []
        for _ in itertools.count() if most is None else range(most):
            try:
                data = self.socket.recv(_NOBLOCK)
            except zmq.Again:
                break
            message = decode(data)
            if message is not None:
                arrived.append(message)
        return arrived
