"""Tests of the sample socket's loop against simulated surroundings: what it tells the warden, and when nothing."""

from collections import deque
from pathlib import Path

import numpy as np
import pytest

from agent.samples.counts import Counts
from agent.samples.door import BEAT_LOST_NS, ProgramDoor
from radio.link import DoorBeat, LinkMessage, LookTaken, TimedBurst
from radio.ports import RxFlag
from radio.ring import SampleRing
from radio.signals.shapes import Cplx
from tests.agent.samples.plans import MS, RATE, plan

pytestmark = pytest.mark.feature("R11")

START = 1_000 * MS
SID = bytes(range(32))


class Program:
    """Always has what it is asked for, and always asks for more."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.got: list[Cplx] = []

    def ask(self, samples: int, now_ns: int) -> None:
        self.asked.append(samples)

    def take(self) -> list[Cplx]:
        wanted, self.asked = self.asked, []
        return [np.full(count, 0.5, np.complex64) for count in wanted[:1]]

    def hear(self) -> bool:
        return True

    def wanted(self) -> int:
        return 20_000

    def give(self, samples: Cplx) -> bool:
        self.got.append(samples)
        return True


class Warden:
    """Says what the test has it say."""

    def __init__(self) -> None:
        self.says: deque[LinkMessage] = deque()
        self.heard: list[LinkMessage] = []

    def send(self, message: LinkMessage) -> bool:
        self.heard.append(message)
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    def receive(self, most: int | None = None) -> list[LinkMessage]:
        said = list(self.says)
        self.says.clear()
        return said


class Bench:
    def __init__(self, folder: Path) -> None:
        mine = plan(run_folder=folder)
        self.program, self.warden, self.counts = Program(), Warden(), Counts()
        self.offered = SampleRing(folder / "out", slots=8, slot_samples=mine.slot_samples, create=True)
        self.heard = SampleRing(folder / "in", slots=8, slot_samples=mine.stretch_samples, create=True)
        self.now_ns = START
        self.door = ProgramDoor(
            mine,
            source=self.program,
            sink=self.program,
            warden=self.warden,
            rings=(self.offered, self.heard),
            counts=self.counts,
            now_ns=START,
        )

    def run(self, ms: int, beat: DoorBeat | None = None) -> list[TimedBurst]:
        self.warden.heard.clear()
        for number in range(ms):
            self.now_ns += MS
            if beat is not None and number % 50 == 0:
                self.warden.says.append(beat)
            self.door.turn(self.now_ns)
        return [one for one in self.warden.heard if isinstance(one, TimedBurst)]


def beat(state: str = "OPEN", sid: bytes | None = SID) -> DoorBeat:
    return DoorBeat(
        state=state, reason="" if state == "OPEN" else "NO_PERMIT", sid=sid, low_hz=3_554_000_000,
        high_hz=3_557_000_000, eirp_mdbm=20_000, sent=0, late=0, refused=0, why="",
    )  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_while_the_gate_is_open_every_slot_is_offered_under_the_settlement_it_named(bench: Bench) -> None:
    bursts = bench.run(200, beat())
    assert len(bursts) in (8, 9, 10)
    assert {one.sid for one in bursts} == {SID}
    iq = bench.offered.read(bursts[-1].ticket)
    assert iq is not None
    assert len(iq) == 6_000
    assert all(isinstance(one, TimedBurst) for one in bench.warden.heard), "it says something else to the warden"


@pytest.mark.parametrize("said", [beat("ARMED"), beat("LOCKED", None), beat("LATCHED"), beat("OPEN", None), None])
def test_nothing_is_offered_under_a_gate_that_is_not_open(bench: Bench, said: DoorBeat | None) -> None:
    assert bench.run(300, said) == []
    assert bench.counts.closed > 0
    assert bench.counts.sent == 0


def test_a_gate_that_falls_silent_is_taken_for_closed(bench: Bench) -> None:
    assert bench.run(100, beat())
    bench.run(BEAT_LOST_NS // MS)
    assert bench.run(300) == []
    assert bench.door.state(bench.now_ns)["why"] == "the warden says nothing of its gate"
    assert bench.run(100, beat())


def test_what_is_heard_reaches_the_program_and_a_ticket_for_nothing_does_not(bench: Bench) -> None:
    iq = np.full((2_000, 2), 1024, np.int16)
    for number in range(10):
        ticket = bench.heard.write(iq)
        for told in (ticket, ticket + 10**6):
            start_ns = START + number * 2 * MS
            bench.warden.says.append(
                LookTaken(
                    ticket=told, sequence=number, earliest_ns=start_ns, latest_ns=start_ns, flags=RxFlag.NONE.value
                )
            )
        bench.run(2)
    got = np.concatenate(bench.program.got)
    assert len(got) == 10 * 2_000
    assert np.all(got == np.complex64(0.5 + 0.5j))
    assert bench.counts.given == len(got)


def test_without_a_radio_the_programs_clock_goes_on(bench: Bench) -> None:
    bench.run(1_000)
    got = sum(len(part) for part in bench.program.got)
    assert got == pytest.approx(RATE, rel=0.2)
    assert 0 <= bench.counts.silence - got < RATE // 500  # what is not yet enough for an answer


def test_the_permits_middle_is_the_centre(bench: Bench) -> None:
    bench.run(1, beat())
    assert bench.door.state(bench.now_ns)["center_hz"] == 3_555_500_000
    bench.run(1, DoorBeat(**{name: getattr(beat(), name) for name in DoorBeat.__slots__} | {"low_hz": None}))
    assert bench.door.state(bench.now_ns)["center_hz"] == plan().radio_center_hz
