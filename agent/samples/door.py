"""The samples door's loop: passes samples from the program to the warden, and the received stream to the program.

It holds no key and decides nothing. It tells the warden a settlement's name, an instant and where samples lie; the
warden decides whether they are transmitted. Time is an argument.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from agent.samples.counts import Counts
from agent.samples.plan import DoorPlan
from agent.samples.receiver import ReceiveStream
from agent.samples.transmitter import TransmitStream
from radio.link import DoorBeat, LinkMessage, LookTaken, TimedBurst
from radio.ports import Iq16, RxFlag
from radio.ring import SampleRing
from radio.signals.shapes import Cplx

BEAT_LOST_NS = 500_000_000
"""Time in ns without a message from the gate after which it counts as closed."""
GIVE_LEAST_S = 0.002
ASK_LEAST_S = 0.002
REQUESTS_A_TURN = 2
OPEN = "OPEN"


class Source(Protocol):
    """The source of the program's samples."""

    def ask(self, samples: int, now_ns: int) -> None:
        """Request `samples` samples, unless as many requests as may wait for an answer do so."""
        ...

    def take(self) -> list[Cplx]:
        """Return what has arrived, without blocking."""
        ...


class Sink(Protocol):
    """The receiver of samples in the program."""

    def hear(self) -> bool:
        """Receive requests; returns whether there were any."""
        ...

    def wanted(self) -> int:
        """Return how many samples can be delivered now at most."""
        ...

    def give(self, samples: Cplx) -> bool:
        """Deliver samples; returns False where no program takes them."""
        ...


class WardenEnd(Protocol):
    """The door's end of its socket to the warden."""

    def send(self, message: LinkMessage) -> bool:
        """Send a message; returns False when the other side accepts none. Never blocks."""
        ...

    def receive(self, most: int | None = None) -> list[LinkMessage]:
        """Return what has arrived, without blocking."""
        ...


class ProgramDoor:
    """The door of one program. `turn` runs its loop once."""

    def __init__(
        self,
        plan: DoorPlan,
        *,
        source: Source | None,
        sink: Sink | None,
        warden: WardenEnd,
        rings: tuple[SampleRing, SampleRing],
        counts: Counts,
        now_ns: int,
    ) -> None:
        self._plan, self._source, self._sink, self._warden = plan, source, sink, warden
        self._offered, self._stretches = rings
        self.counts = counts
        self._transmit = TransmitStream(plan, self.counts, now_ns=now_ns)
        self._receive = ReceiveStream(plan, self.counts, now_ns=now_ns)
        self._beat: DoorBeat | None = None
        self._beat_ns = 0
        self._streamed = False
        self._give_least, self._ask_least = (max(1, round(plan.program_hz * s)) for s in (GIVE_LEAST_S, ASK_LEAST_S))

    def turn(self, now_ns: int) -> None:
        """Handle everything that has arrived or is due."""
        for message in self._warden.receive():
            if isinstance(message, DoorBeat):
                self._beat, self._beat_ns = message, now_ns
                self._receive.centre(self._center_hz(message))
            elif isinstance(message, LookTaken) and self._sink is not None:
                self._hear(message, now_ns)
        self._to_program(now_ns)
        self._from_program(now_ns)

    def _center_hz(self, beat: DoorBeat) -> int:
        if beat.low_hz is None or beat.high_hz is None:
            return self._plan.radio_center_hz
        return (beat.low_hz + beat.high_hz) // 2

    def _gate(self, now_ns: int) -> DoorBeat | None:
        """Return the gate's last message; None where it is too old."""
        return self._beat if self._beat is not None and now_ns - self._beat_ns < BEAT_LOST_NS else None

    def _hear(self, stretch: LookTaken, now_ns: int) -> None:
        iq: Iq16 | None = self._stretches.read(stretch.ticket)
        if iq is None:
            return
        self._streamed = True
        gap = bool(RxFlag(stretch.flags) & RxFlag.GAP)
        self._receive.feed(iq, stretch.earliest_ns, now_ns, gap=gap)

    def _to_program(self, now_ns: int) -> None:
        if self._sink is None:
            return
        self._receive.tick(now_ns)
        if self._sink.hear():
            self._receive.read_at(now_ns)
        while True:
            wanted = self._sink.wanted()
            if not wanted or self._receive.size < min(wanted, self._give_least):
                return
            samples = self._receive.take(wanted)
            if not self._sink.give(samples):
                self.counts.given -= len(samples)
                self.counts.unread += len(samples) if self._receive.present(now_ns) else 0
                return
            self._receive.read_at(now_ns)

    def _from_program(self, now_ns: int) -> None:
        if self._source is None:
            return
        wanted = self._transmit.wanted()
        if wanted:  # otherwise the messages stay queued: a program that floods is held back by its own socket
            self._feed(self._source.take(), now_ns)
            wanted = self._transmit.wanted()
            for _ in range(REQUESTS_A_TURN):
                self._source.ask(wanted if wanted >= self._ask_least else 0, now_ns)
        gate = self._gate(now_ns)
        sid = gate.sid if gate is not None and gate.state == OPEN else None
        for burst in self._transmit.due(now_ns, open_=sid is not None):
            if sid is not None:
                self._warden.send(TimedBurst(sid=sid, ticket=self._offered.write(burst.iq), at_ns=burst.at_ns))

    def _feed(self, arrived: Sequence[Cplx], now_ns: int) -> None:
        for samples in arrived:
            self._transmit.feed(samples, now_ns)

    def state(self, now_ns: int) -> dict[str, Any]:
        """Return the door's state for `status` and metrics."""
        gate = self._gate(now_ns)
        slots = self._plan.slots
        return {
            "mono_ns": now_ns,
            "transmit": self._plan.transmit,
            "receive": self._plan.receive,
            "sample_rate_hz": self._plan.program_hz,
            "center_hz": self._receive.center_hz,
            "open": gate is not None and gate.state == OPEN,
            "why": "the warden says nothing of its gate" if gate is None else f"{gate.state} {gate.reason}".strip(),
            "sending": self._source is not None and self._transmit.present(now_ns),
            "reading": self._sink is not None and self._receive.present(now_ns),
            "streamed": self._streamed,
            "gate": None if gate is None else {k: v for k, v in asdict(gate).items() if k != "sid"},
            "slot": {"period_ns": slots.period_ns, "offset_ns": slots.offset_ns, "length_ns": slots.length_ns},
            "samples": self.counts.as_dict(),
        }
