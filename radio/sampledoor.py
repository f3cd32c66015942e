"""The warden's side of the door for a program's samples: bursts in; the received stream and the gate's word out.

The door is a process of its own and carries no authority. What comes through it is a settlement's name, an instant and
samples; the warden measures each burst as any other. What it takes in a turn is bounded, however much is offered.
"""

from typing import Protocol

from radio.link import DoorBeat, LinkMessage, LookTaken, TimedBurst
from radio.ports import Iq16
from radio.ring import SampleRing
from settlement.core.reasons import Refusal

OFFERS_A_TURN = 4
LATE_NS = 2_500_000
"""How late after its time a burst may still begin: its sender keeps so much free before the next look."""
TELL_AGAIN_NS = 10_000_000_000
"""A program whose bursts are all refused for one reason is told of to the agent, and so in the log, so often."""


class DoorLink(Protocol):
    """The warden's end of the socket to the door."""

    def waits(self) -> bool:
        """Whether a message waits; never blocks."""
        ...

    def send(self, message: LinkMessage) -> bool:
        """Hand a message over; False when the other side takes none. Never blocks."""
        ...

    def receive(self, most: int | None = None) -> list[LinkMessage]:
        """What has arrived, at most so many; never blocks."""
        ...

    def close(self) -> None:
        """Let go of this end."""
        ...


class Heard(Protocol):
    """Where the receiver's whole stream comes from."""

    def take_stream(self) -> list[LookTaken]:
        """Stretches of the stream since the last call, in the door's receive ring."""
        ...


class SampleDoor:
    """One program's door, as the warden sees it."""

    def __init__(self, link: DoorLink, ring: SampleRing, heard: Heard | None) -> None:
        self._link, self._ring, self._heard = link, ring, heard
        self.sent = self.late = self.refused = 0
        self.why = ""
        self._told: tuple[str, int] | None = None

    @property
    def waiting(self) -> bool:
        """Whether the door has said something that was not taken yet."""
        return self._link.waits()

    def close(self) -> None:
        """Let go of the door's socket."""
        self._link.close()

    def offers(self) -> list[TimedBurst]:
        """What the door offers to send, a few at a time; anything else it says is dropped."""
        return [one for one in self._link.receive(OFFERS_A_TURN) if isinstance(one, TimedBurst)]

    def read(self, offer: TimedBurst) -> Iq16 | None:
        """The samples of an offer; None where there are none."""
        return self._ring.read(offer.ticket)

    def refuse(self, refusal: Refusal, now_ns: int) -> bool:
        """Note that a burst was refused; True when the agent should hear of it."""
        self.refused += 1
        self.why = str(refusal)[:256]
        known = self._told
        if known is not None and known[0] == refusal.clause and now_ns - known[1] < TELL_AGAIN_NS:
            return False
        self._told = refusal.clause, now_ns
        return True

    def hand_out(self) -> None:
        """Pass on what was received."""
        for stretch in self._heard.take_stream() if self._heard is not None else ():
            self._link.send(stretch)

    def tell(self, beat: DoorBeat) -> None:
        """Say how the gate is."""
        self._link.send(beat)
