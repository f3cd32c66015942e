"""The warden's end of the socket to the process that serves a program's samples: bursts in, receive stream out.

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
"""Time after its start time until which a burst may still begin; its sender keeps that free before the next look."""
TELL_AGAIN_NS = 10_000_000_000
"""Interval at which a program's bursts, all refused for one reason, are reported to the agent, and so in the log."""


class DoorLink(Protocol):
    """The warden's end of the socket to the sample-serving process."""

    def waits(self) -> bool:
        """Whether a message waits; never blocks."""
        ...

    def send(self, message: LinkMessage) -> bool:
        """Send a message; returns False when the other side's queue is full. Never blocks."""
        ...

    def receive(self, most: int | None = None) -> list[LinkMessage]:
        """Receive the messages that have arrived, at most `most`; never blocks."""
        ...

    def close(self) -> None:
        """Close this end."""
        ...


class Heard(Protocol):
    """The source of the receiver's continuous stream."""

    def take_stream(self) -> list[LookTaken]:
        """Stretches of the stream taken since the last call, in the program's receive ring."""
        ...


class SampleDoor:
    """The warden's view of one program's sample connection."""

    def __init__(self, link: DoorLink, ring: SampleRing, heard: Heard | None) -> None:
        self._link, self._ring, self._heard = link, ring, heard
        self.sent = self.late = self.refused = 0
        self.why = ""
        self._told: tuple[str, int] | None = None

    @property
    def waiting(self) -> bool:
        """Whether a message of the program's side waits."""
        return self._link.waits()

    def close(self) -> None:
        """Close the socket."""
        self._link.close()

    def offers(self) -> list[TimedBurst]:
        """The bursts that the program offers, a few at a time; any other message is dropped."""
        return [one for one in self._link.receive(OFFERS_A_TURN) if isinstance(one, TimedBurst)]

    def read(self, offer: TimedBurst) -> Iq16 | None:
        """The samples of an offered burst; None where they are missing."""
        return self._ring.read(offer.ticket)

    def refuse(self, refusal: Refusal, now_ns: int) -> bool:
        """Count a refused burst; returns True when the agent should be told."""
        self.refused += 1
        self.why = str(refusal)[:256]
        known = self._told
        if known is not None and known[0] == refusal.clause and now_ns - known[1] < TELL_AGAIN_NS:
            return False
        self._told = refusal.clause, now_ns
        return True

    def hand_out(self) -> None:
        """Send the new stretches of the receive stream to the program's side."""
        for stretch in self._heard.take_stream() if self._heard is not None else ():
            self._link.send(stretch)

    def tell(self, beat: DoorBeat) -> None:
        """Send the gate's state to the program's side."""
        self._link.send(beat)
