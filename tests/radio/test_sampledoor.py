"""Bursts of another program at the warden: measured as any other, at their time or not at all, and bounded."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from radio.link import DoorBeat, GateChange, LinkMessage, LookTaken, TimedBurst, WardenBeat
from radio.ring import SampleRing
from radio.sampledoor import LATE_NS, OFFERS_A_TURN, SampleDoor
from tests.radio.test_warden import SAMPLES, Bench

pytestmark = pytest.mark.feature("R11")

MS = 1_000_000
SLOTS = 8


class DoorEnd:
    """The warden's end of a link to the door, within this process."""

    def __init__(self) -> None:
        self.offered: deque[LinkMessage] = deque()
        self.said: list[LinkMessage] = []

    def send(self, message: LinkMessage) -> bool:
        self.said.append(message)
        return True

    def waits(self) -> bool:
        return bool(self.offered)

    def close(self) -> None:
        """Nothing to let go of."""

    def receive(self, most: int | None = None) -> list[LinkMessage]:
        count = len(self.offered) if most is None else min(most, len(self.offered))
        return [self.offered.popleft() for _ in range(count)]


class DoorBench(Bench):
    """A warden with a door."""

    def __init__(self, folder: Path) -> None:
        self.end = DoorEnd()
        self.program = SampleRing(folder / "program", slots=SLOTS, slot_samples=SAMPLES, create=True)
        mine = SampleRing(folder / "program", slots=SLOTS, slot_samples=SAMPLES, create=False)
        self.door = SampleDoor(self.end, mine, None)
        super().__init__(folder, door=self.door)
        self.permit()

    def offer(self, *, in_ns: int = 0, sid: bytes | None = None, scale: float = 1.0, count: int = 1) -> None:
        iq = np.rint(self.good * scale).astype(np.int16)
        for _ in range(count):
            self.end.offered.append(
                TimedBurst(sid=sid or self.sid, ticket=self.program.write(iq), at_ns=self.radio.clock() + in_ns)
            )
        self.say()

    def beats(self) -> list[DoorBeat]:
        return [one for one in self.end.said if isinstance(one, DoorBeat)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[DoorBench]:
    made = DoorBench(tmp_path)
    yield made
    made.warden.close()


def test_a_burst_at_its_time_is_sent(bench: DoorBench) -> None:
    bench.offer(in_ns=1)
    bench.radio.clock.now_ns += MS
    bench.say()
    assert len(bench.radio.sent) == 1
    assert (bench.door.sent, bench.door.late, bench.door.refused) == (1, 0, 0)


def test_one_that_is_early_waits_and_one_that_is_late_is_dropped(bench: DoorBench) -> None:
    bench.offer(in_ns=50 * MS)
    assert bench.radio.sent == []
    bench.radio.clock.now_ns += 50 * MS + LATE_NS + MS
    bench.beat()
    bench.say()
    assert bench.radio.sent == []
    assert (bench.door.sent, bench.door.late) == (0, 1)


def test_a_loop_that_is_woken_goes_on_for_what_the_door_says_and_at_a_bursts_own_time(bench: DoorBench) -> None:
    warden, now_ns = bench.warden, bench.radio.clock.now_ns
    bench.offer(in_ns=50 * MS)
    (waiting,) = warden._pending
    warden._next_beat_ns = warden._decided_until_ns = now_ns + 3600 * 1000 * MS
    assert warden._due_ns(now_ns) == waiting.at_ns
    bench.end.offered.append(TimedBurst(sid=bench.sid, ticket=0, at_ns=0))
    assert warden._due_ns(now_ns) == now_ns
    warden.step()
    assert not bench.door.waiting


def test_samples_are_measured_like_any_other(bench: DoorBench) -> None:
    """Too loud, and clipped; a flood of them is told of once, not once a burst."""
    for _ in range(20):
        bench.offer(scale=3.9, in_ns=1)
        bench.radio.clock.now_ns += MS
    assert bench.radio.sent == []
    assert bench.door.refused == 20
    told = [one for one in bench.heard if isinstance(one, GateChange) and one.asked]
    assert len(told) == 1
    assert told[0].reason in bench.door.why


def test_a_door_cannot_send_under_a_settlement_it_names_itself(bench: DoorBench) -> None:
    bench.offer(sid=bytes(32), in_ns=1)
    bench.radio.clock.now_ns += MS
    bench.say()
    assert bench.radio.sent == []
    assert "NO_PERMIT" in bench.door.why


def test_nothing_but_bursts_is_heard_through_the_door(bench: DoorBench) -> None:
    """A heartbeat, a permit or a suspension by way of the door is nothing."""
    before = bench.changes()
    bench.end.offered.extend(
        (
            GateChange(
                state="OPEN", previous="", reason="", clause="", measured="", required="", sid=None, at_ns=0,
                cause_ns=0, muted_ns=None, asked=False,
            ),
            LookTaken(ticket=1, sequence=1, earliest_ns=0, latest_ns=0, flags=0),
        )
    )  # fmt: skip
    bench.say()
    assert bench.changes() == before
    assert bench.radio.sent == []


def test_a_flood_takes_no_more_of_a_turn_than_a_few(bench: DoorBench) -> None:
    bench.end.offered.extend(TimedBurst(sid=bench.sid, ticket=10**6 + n, at_ns=0) for n in range(10_000))
    before = len(bench.end.offered)
    bench.warden.step()
    assert before - len(bench.end.offered) == OFFERS_A_TURN
    assert bench.radio.sent == []


def test_closing_drops_what_waits(bench: DoorBench) -> None:
    bench.offer(in_ns=20 * MS, count=3)
    bench.warden.stop()
    bench.warden.clear()
    bench.warden.arm(10**12)
    bench.beat()
    bench.radio.clock.now_ns += 20 * MS
    bench.beat()
    bench.say()
    assert bench.changes()[-1][0] == "OPEN"
    assert bench.radio.sent == []


def test_the_door_is_told_how_the_gate_is(bench: DoorBench) -> None:
    bench.radio.clock.now_ns += 60 * MS
    bench.beat()
    beat = bench.beats()[-1]
    assert (beat.state, beat.sid) == ("OPEN", bench.sid)
    assert (beat.low_hz, beat.high_hz) == (3_550_000_000, 3_560_000_000)
    assert beat.eirp_mdbm is not None
    bench.warden.arm(0)
    bench.radio.clock.now_ns += 60 * MS
    bench.say()
    assert (bench.beats()[-1].state, bench.beats()[-1].reason) == ("LOCKED", "NOT_ARMED")
    assert sum(isinstance(one, WardenBeat) for one in bench.heard) >= 2
