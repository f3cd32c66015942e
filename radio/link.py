"""The messages between agent and warden over a local ZeroMQ socket: small typed messages, CBOR, one frame each.

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
    """The agent's heartbeat at `said_ns`, with its last sensing result; times monotonic ns.

    `listened_ns`: when the last look was taken. `incumbents_hz`: protected bands as [low_hz, high_hz]. `cause_ns`: when
    the newest of them was first protected, None without one.
    """

    said_ns: int
    listened_ns: int | None
    incumbents_hz: list[list[int]]
    cause_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPermit:
    """A settlement's artifact for the warden to verify."""

    artifact: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLease:
    """A RENEW, SUSPEND or RESUME record to verify."""

    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHanding:
    """A HANDOVER or RECLAIM record of the settlement `sid` to verify: it hands on a part of it or takes that back."""

    sid: bytes
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BandVacated:
    """The radio is silent in the band of a HANDOVER (its name) from `at_ns` (monotonic) on."""

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
    """A rotation of this node's own key, for the warden to verify."""

    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Stop using a settlement for good; `cause_ns` is when the agent learnt the cause (monotonic)."""

    sid: bytes
    reason: str
    detail: str
    cause_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Samples to send are in the transmit ring under this ticket, for that settlement."""

    sid: bytes
    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedBurst:
    """A program's samples to send are in its ring under this ticket, for that settlement and that instant.

    They begin at `at_ns` (monotonic) or a little later, or they are dropped.
    """

    sid: bytes
    ticket: int
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorBeat:
    """The gate's state for a program's sample socket, and totals of what became of the program's bursts.

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
    """Received samples are in the receive ring under this ticket."""

    ticket: int
    sequence: int
    earliest_ns: int
    latest_ns: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WardenBeat:
    """The warden's heartbeat: its gate's state, and how late its loop ran lately.

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
    """The gate changed state, or (`asked`) refused a request; `at_ns` and `cause_ns` are monotonic."""

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
    """The receiver's verdict on a base station after its end; it can only restrict."""

    device: str
    low_hz: int
    high_hz: int
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StationCleared:
    """An operator looked into what was heard of a base station: its alarm is over, and listening starts anew."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerMeasured:
    """Upper bound of the mean power received in a band (mdBm), for a SAS above that asks; valid until `until_ns`."""

    low_hz: int
    high_hz: int
    most_mdbm: int
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What was sent under a settlement, when the gate ended it (monotonic ns)."""

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
    """The type names that a field's value may have; a list type is returned as declared: `list[list[int]]`."""
    written = str(declared) if hasattr(declared, "__origin__") else getattr(declared, "__name__", str(declared))
    return written if written.startswith("list[") else frozenset(written.replace("None", "NoneType").split(" | "))


_DECLARED = {name: {f.name: _allowed(f.type) for f in fields(kind)} for name, kind in _KINDS.items()}
# Flags as plain integers: combining enumeration members takes longer than the socket takes to answer.
_EVENTS, _POLLIN, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)


def decode(data: bytes) -> LinkMessage | None:
    """Decode a message; None for bytes that are no message with every field of its declared type."""
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
    """Whether a value is of a declared type; a list of bands is a list of pairs of integers."""
    if declared == "list[list[int]]":
        return isinstance(value, list) and all(
            isinstance(pair, list) and len(pair) == 2 and all(type(edge) is int for edge in pair) for pair in value
        )
    if declared == "list[bytes]":
        return isinstance(value, list) and all(isinstance(one, bytes) for one in value)
    return type(value).__name__ in declared


class Link:
    """One end of the local socket; the warden binds, the agent connects. `mode`: file permissions of the socket."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", path: Path, *, bind: bool, mode: int = 0o600) -> None:
        self.socket = context.socket(zmq.PAIR)
        self._retried = RetriedWait()
        self.others: Callable[[], list[int]] | None = None
        """Returns further file descriptors that end a wait when readable; called at each wait."""
        self.socket.linger, self.socket.sndhwm, self.socket.rcvhwm = 0, 256, 256
        self.descriptor = int(self.socket.fileno())
        if bind:
            self.socket.bind(f"ipc://{path}")
            path.chmod(mode)
        else:
            self.socket.connect(f"ipc://{path}")

    def wait(self, timeout_ms: float) -> bool:
        """Wait until a message has arrived or one of `others` is readable, at most `timeout_ms`.

        Without `others` the time is rounded to whole milliseconds. A wait that fails counts as one in which nothing
        arrived. Raises WaitFailed once waits fail for long.
        """
        return self._retried.heard(partial(self._waited, timeout_ms), or_else=False)

    def _waited(self, timeout_ms: float) -> bool:
        if self.others is None:
            return bool(self.socket.poll(round(timeout_ms)))
        until = time.monotonic() + timeout_ms / 1000
        while not self.waits():
            ready, _, _ = select.select([self.descriptor, *self.others()], [], [], max(0.0, until - time.monotonic()))
            # The socket's descriptor is also readable for ZeroMQ's own traffic, such as for a message that was sent.
            if ready != [self.descriptor] or time.monotonic() >= until:
                return self.descriptor in ready and self.waits()
        return True

    def waits(self) -> bool:
        """Whether a message waits; check before waiting for `descriptor`, which signals only new ones."""
        return bool(int(self.socket.getsockopt(_EVENTS)) & _POLLIN)

    def close(self) -> None:
        """Close this end; messages not yet sent are dropped."""
        self.socket.close()

    def send(self, message: LinkMessage) -> bool:
        """Send a message; returns False when the other side's queue is full. Never blocks."""
        values = {name: getattr(message, name) for name in _DECLARED[type(message).__name__]}
        try:
            self.socket.send(cbor2.dumps([type(message).__name__, values]), _NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self, most: int | None = None) -> list[LinkMessage]:
        """Receive the messages that have arrived, at most `most`; never blocks. Malformed ones are dropped."""
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
