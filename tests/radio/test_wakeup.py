"""Tests that the warden's loop wakes for every event and deadline that it must act on."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import zmq

from radio.devicewatch import DeviceWatch
from radio.gate import GateState
from radio.link import AgentBeat, Burst, Link, LinkMessage, LookTaken, NewPermit, Withdraw
from radio.ports import Drift
from radio.wakeup import Rouser
from radio.warden import BEAT_NS, IDLE_REST_NS, REST_NS
from settlement.core.fixes import Fix
from tests.radio.test_warden import Bench, FakeRadio, WatchedRadio

pytestmark = pytest.mark.feature("E1")
LONG_MS = 20_000.0
NS = 1_000_000_000
BEAT = AgentBeat(said_ns=1, listened_ns=1, incumbents_hz=[], cause_ns=None)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[Link, Link]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    here = Link(context, tmp_path / "link", bind=True)
    there = Link(context, tmp_path / "link", bind=False)
    yield here, there
    here.socket.close()
    there.socket.close()
    context.term()


def test_a_message_ends_the_wait_and_what_was_there_before_needs_none(ends: tuple[Link, Link]) -> None:
    here, there = ends
    here.others = list
    threading.Timer(0.05, there.send, [BEAT]).start()
    assert here.wait(LONG_MS)
    there.send(BEAT)
    there.send(BEAT)
    assert here.wait(LONG_MS)
    assert len(here.receive()) >= 1
    while here.wait(20):
        here.receive()
    assert not here.wait(0)


def test_a_thread_ends_the_wait_without_a_message(ends: tuple[Link, Link]) -> None:
    here, _ = ends
    rouser = Rouser()
    here.others = lambda: [rouser.fileno()]
    threading.Timer(0.05, rouser).start()
    assert not here.wait(LONG_MS)
    assert not here.wait(LONG_MS), "it stays raised until it is heeded"
    rouser.heed()
    began_s = time.monotonic()
    assert not here.wait(30)
    assert time.monotonic() - began_s >= 0.03, "it was lowered: the wait lasts"
    rouser()
    rouser.close()
    rouser()
    assert rouser.fileno() == -1


def test_what_was_sent_and_taken_is_no_reason_to_wake(ends: tuple[Link, Link]) -> None:
    here, there = ends
    here.others = list
    for _ in range(50):
        here.send(BEAT)
    threading.Timer(0.02, there.receive).start()
    began_s = time.monotonic()
    assert not here.wait(150)
    assert time.monotonic() - began_s >= 0.15


class Waiting:
    """A link's end that notes how long it was told to wait, ms."""

    def __init__(self, inner: object, arrives: deque[LinkMessage]) -> None:
        self._inner, self._arrives = inner, arrives
        self.waits_ms: list[float] = []

    def wait(self, timeout_ms: float) -> bool:
        self.waits_ms.append(timeout_ms)
        return bool(self._arrives)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class Woken(Bench):
    """A warden that is woken, at a time that the test sets."""

    def __init__(self, folder: Path, radio: FakeRadio | None = None) -> None:
        super().__init__(folder, radio=radio)
        warden = self.warden
        self.at_ns = 10 * NS
        warden._rouse, warden._woken = Rouser(), True
        warden._monotonic_ns = lambda: self.at_ns
        warden._armed_until_ns = 3600 * NS
        self.link = Waiting(warden._link, warden._link._into)  # type: ignore[attr-defined]
        warden._link = self.link  # type: ignore[assignment]

    def turn(self) -> float:
        """One turn; how long the loop wanted to wait before it, ms."""
        self.warden.step()
        return self.link.waits_ms[-1]

    def hear(self, listened_ns: int, incumbents_hz: list[list[int]] | None = None) -> None:
        self.agent.send(
            AgentBeat(
                said_ns=self.at_ns, listened_ns=listened_ns, incumbents_hz=incumbents_hz or [], cause_ns=self.at_ns
            )
        )

    def open(self) -> None:
        self.agent.send(NewPermit(artifact=self.artifact))
        self.hear(self.at_ns)
        for _ in range(4):
            self.turn()
        assert self.warden._state is GateState.OPEN


@pytest.fixture
def woken(tmp_path: Path) -> Woken:
    return Woken(tmp_path)


def test_without_a_permit_nothing_is_hurried_and_with_one_the_clock_is_asked(woken: Woken) -> None:
    woken.turn()
    assert woken.turn() == IDLE_REST_NS / 1e6
    woken.open()
    assert woken.turn() == REST_NS / 1e6
    woken.at_ns += BEAT_NS - 1_000_000
    woken.warden._next_beat_ns = woken.at_ns + 1_000_000
    assert woken.turn() == 1.0, "the next heartbeat to the agent"


def test_a_device_that_does_not_answer_leaves_the_loop_at_rest(tmp_path: Path) -> None:
    """It is told nothing meanwhile; that telling it is due kept the loop from ever waiting, a whole core for hours."""
    radio = WatchedRadio()
    woken = Woken(tmp_path, radio)
    woken.listener.fault = "the cable is out"
    woken.turn()
    for _ in range(3):
        woken.at_ns += NS
        woken.turn()  # what was due meanwhile
        assert woken.turn() == IDLE_REST_NS / 1e6
    assert radio.beats == 0
    woken.listener.fault = None
    woken.turn()
    assert radio.beats == 1


def test_work_that_waits_is_not_waited_for(woken: Woken) -> None:
    woken.open()
    for _ in range(3):
        woken.agent.send(NewPermit(artifact=woken.artifact))
    woken.turn()
    assert [woken.turn(), woken.turn()] == [0.0, 0.0]
    assert woken.turn() > 0


@pytest.mark.parametrize("ends_by", ["heartbeat", "sensing", "window"])
def test_a_term_that_ends_is_met_when_it_ends(woken: Woken, ends_by: str) -> None:
    """Half a millisecond before the end the loop waits for half a millisecond, not for its rest."""
    woken.open()
    warden, left_ns = woken.warden, 500_000
    began_ns = woken.at_ns
    rule = warden._permits.all()[0].permit.rule
    if ends_by == "heartbeat":
        woken.at_ns = began_ns + warden._plan.heartbeat_limit_ns - left_ns
        woken.agent.send(AgentBeat(said_ns=began_ns, listened_ns=woken.at_ns, incumbents_hz=[], cause_ns=None))
    elif ends_by == "sensing":
        woken.at_ns = began_ns + rule.sensing_age_ns_max - left_ns
        woken.hear(began_ns)
    else:
        warden._armed_until_ns = woken.at_ns + left_ns + warden._silencing_ns + woken.pace.worst_ns
    warden._next_beat_ns = woken.at_ns + NS
    woken.turn()
    assert warden._state is GateState.OPEN
    wait_ms = woken.turn()
    assert wait_ms == pytest.approx(left_ns / 1e6, abs=1e-3)
    woken.at_ns += round(wait_ms * 1e6)
    woken.turn()
    assert warden._state is not GateState.OPEN


@pytest.mark.parametrize("said", ["incumbent", "withdrawn"])
def test_what_the_agent_says_closes_in_the_turn_it_is_heard(woken: Woken, said: str) -> None:
    woken.open()
    permit = woken.warden._permits.all()[0].permit
    band = permit.cell.band
    if said == "incumbent":
        woken.hear(woken.at_ns, [[band.low_hz, band.high_hz]])
    else:
        woken.agent.send(Withdraw(sid=permit.sid, reason="PREEMPTED", detail="x", cause_ns=woken.at_ns))
    woken.turn()
    assert woken.warden._state is GateState.ARMED


def test_lateness_is_counted_from_when_the_loop_meant_to_go_on(woken: Woken) -> None:
    """A wait that was meant is not late; what it lasts beyond that is."""
    woken.open()
    noted: list[tuple[int, int]] = []
    woken.pace.turn = lambda began_ns, ended_ns: noted.append((began_ns, ended_ns))  # type: ignore[method-assign]

    def wait(timeout_ms: float) -> bool:
        woken.at_ns += round(timeout_ms * 1e6) + 700_000
        return False

    woken.link.wait = wait  # type: ignore[method-assign]
    woken.warden.step()
    assert len(noted) > 1, "rests between turns count as well"
    assert {ended_ns - began_ns for began_ns, ended_ns in noted} == {700_000}


class Passing:
    """A link's end on which nothing comes, and time passes as long as it is told to wait."""

    def __init__(self, woken: Woken) -> None:
        self._woken, self._inner = woken, woken.link
        self.waits_ms: list[float] = []

    def wait(self, timeout_ms: float) -> bool:
        self.waits_ms.append(timeout_ms)
        self._woken.at_ns += round(timeout_ms * 1e6)
        return False

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


@pytest.fixture
def passing(woken: Woken) -> Passing:
    woken.open()
    woken.warden._next_beat_ns = woken.at_ns + BEAT_NS
    passing = Passing(woken)
    woken.warden._link = passing  # type: ignore[assignment]
    return passing


def test_between_turns_the_clock_alone_is_asked(woken: Woken, passing: Passing) -> None:
    asked: list[int] = []
    fix = woken.warden._fix
    woken.warden._fix = lambda: (asked.append(woken.at_ns), fix())[1]
    began_ns = woken.at_ns
    woken.warden._wait()
    assert woken.at_ns - began_ns == BEAT_NS
    assert passing.waits_ms == [REST_NS / 1e6] * (BEAT_NS // REST_NS)
    assert len(asked) == len(passing.waits_ms) - 1
    assert woken.warden._state is GateState.OPEN


@pytest.mark.parametrize(
    "changed",
    ["trust", "bound", "place", "later", "late loop", "disarmed", "muted", "two permits", "handed on", "calendar"],
)
def test_what_time_may_change_without_a_sound_is_decided_at_the_next_rest(
    woken: Woken, passing: Passing, changed: str
) -> None:
    """Each of them ends the wait after one rest, where a quiet clock lets it go on to the next heartbeat."""
    warden, fix = woken.warden, woken.warden._fix
    (held,) = warden._permits.all()
    if changed in {"two permits", "handed on", "calendar"}:
        if changed == "two permits":
            warden._permits.all = lambda: [held, held]  # type: ignore[method-assign]
        elif changed == "handed on":
            held.whole = held.permit
        else:
            warden._calendar = lambda: None
        warden._link = passing._inner  # type: ignore[assignment]
        woken.turn()
        warden._link, warden._next_beat_ns = passing, woken.at_ns + BEAT_NS  # type: ignore[assignment]

    def moved() -> Fix:
        now = fix()
        time, place = now.time, now.position
        if changed == "trust":
            time = replace(time, trusted=False, status="lost")
        elif changed == "bound":
            width_ns = 2 * held.permit.rule.time_bound_ns_max + 2
            time = replace(time, earliest_ns=time.latest_ns - width_ns)
        elif changed == "place":
            place = replace(place, radius_mm=place.radius_mm + 1)
        elif changed == "later":
            time = replace(time, latest_ns=time.latest_ns + 3600 * NS, earliest_ns=time.latest_ns + 3600 * NS)
        return Fix(time=time, position=place)

    warden._fix = moved
    if changed == "late loop":
        warden._pace = SimpleNamespace(worst_ns=NS, turn=lambda *_: None)  # type: ignore[assignment]
    elif changed == "disarmed":
        warden.arm(0)
    elif changed == "muted":
        warden._chain.mute()
    passing.waits_ms.clear()
    warden._wait()
    assert passing.waits_ms == [REST_NS / 1e6]


LOOK = LookTaken(ticket=1, sequence=1, earliest_ns=1, latest_ns=1, flags=0)


def interrupted(woken: Woken, passing: Passing, *, fault: str | None = None) -> list[LookTaken]:
    """A look is taken a millisecond into the wait, which that ends; returns the looks that nobody took yet."""
    looks = [LOOK]

    def wait(timeout_ms: float) -> bool:
        passing.waits_ms.append(timeout_ms)
        woken.at_ns += 1_000_000 if looks else round(timeout_ms * 1e6)
        return False

    passing.wait = wait  # type: ignore[method-assign]
    take = lambda: [looks.pop()] if looks else []  # noqa: E731
    woken.warden._listener = SimpleNamespace(fault=fault, take=take)  # type: ignore[assignment]
    return looks


@pytest.mark.parametrize("open_", [True, False])
def test_looks_alone_are_passed_on_at_once_and_the_rest_goes_on(woken: Woken, open_: bool) -> None:
    """Of an open gate, and of one that no permit can open: until the heartbeat is due no turn is taken for a look."""
    if open_:
        woken.open()
    else:
        woken.turn()
    warden, rest_ns = woken.warden, REST_NS if open_ else IDLE_REST_NS
    warden._next_beat_ns = woken.at_ns + BEAT_NS
    passing = Passing(woken)
    warden._link = passing  # type: ignore[assignment]
    looks, began_ns = interrupted(woken, passing), woken.at_ns
    warden._wait()
    assert looks == []
    assert [one for one in woken.agent.receive() if isinstance(one, LookTaken)] == [LOOK]
    assert passing.waits_ms[:2] == [rest_ns / 1e6, rest_ns / 1e6 - 1]
    assert woken.at_ns == began_ns + (BEAT_NS if open_ else rest_ns)


@pytest.mark.parametrize("beside", ["fault", "drift", "no answer", "rest", "undecided", "shut", "door"])
def test_what_else_a_look_comes_with_is_decided_on_in_a_turn(woken: Woken, passing: Passing, beside: str) -> None:
    warden = woken.warden
    interrupted(woken, passing, fault="no samples" if beside == "fault" else None)
    if beside in {"drift", "no answer"}:
        watch = DeviceWatch(cast("Any", WatchedRadio(silent=beside == "no answer")))
        watch._found = Drift(wanted="a", read="b") if beside == "drift" else None
        watch.ask()
        warden._chain._watch = watch
    elif beside == "rest":
        warden._chain._rests = True
    elif beside == "undecided":
        warden._decided_on = None
    elif beside == "shut":
        warden._state = GateState.ARMED  # with a permit by which the next turn opens
    elif beside == "door":
        warden._door = cast("Any", SimpleNamespace(waiting=False))
        warden._pending.clear()
    warden._wait()
    assert len(passing.waits_ms) == 1


def saying(woken: Woken, passing: Passing, *messages: LinkMessage) -> None:
    """The agent says this a millisecond into the wait."""
    later = list(messages)

    def wait(timeout_ms: float) -> bool:
        passing.waits_ms.append(timeout_ms)
        woken.at_ns += 1_000_000 if later else round(timeout_ms * 1e6)
        for message in later:
            woken.agent.send(message)
        heard = bool(later)
        later.clear()
        return heard

    passing.wait = wait  # type: ignore[method-assign]


def beat(woken: Woken, **changes: object) -> AgentBeat:
    """As the last one, said a millisecond from now."""
    assert woken.warden._beat is not None
    at_ns = woken.at_ns + 1_000_000
    return replace(woken.warden._beat, **{"said_ns": at_ns, "listened_ns": at_ns, **changes})  # type: ignore[arg-type]


def test_a_heartbeat_that_says_nothing_new_makes_the_decision_last_and_takes_no_turn(
    woken: Woken, passing: Passing
) -> None:
    warden, began_ns = woken.warden, woken.at_ns
    (held,) = warden._permits.all()
    limit_ns = held.permit.rule.sensing_age_ns_max
    assert warden._decided_until_ns == began_ns + limit_ns + 1
    saying(woken, passing, beat(woken))
    warden._wait()
    assert warden._decided_until_ns == began_ns + 1_000_000 + limit_ns + 1
    assert woken.at_ns == began_ns + BEAT_NS
    assert passing.waits_ms[:2] == [REST_NS / 1e6, REST_NS / 1e6 - 1]


def test_an_agent_that_never_stops_talking_does_not_keep_the_loop_from_its_clock(
    woken: Woken, passing: Passing
) -> None:
    def wait(timeout_ms: float) -> bool:
        passing.waits_ms.append(timeout_ms)
        woken.agent.send(beat(woken))
        woken.at_ns += 1_000_000
        if len(passing.waits_ms) == 3:
            woken.now = replace(woken.now, time=replace(woken.now.time, trusted=False))
        return True

    passing.wait = wait  # type: ignore[method-assign]
    woken.warden._wait()
    assert len(passing.waits_ms) == REST_NS // 1_000_000


def test_a_burst_is_measured_between_turns_and_sent_with_the_next_frame(woken: Woken, passing: Passing) -> None:
    """Not sooner, though a frame has begun meanwhile: the one that it comes in is others' to be heard in."""
    warden, frame_ns = woken.warden, 20_000_000
    warden._plan = replace(warden._plan, frame_ns=frame_ns)
    warden._next_frame_ns = woken.at_ns
    saying(woken, passing, Burst(sid=woken.sid, ticket=woken.ring.write(woken.good)))
    warden._wait()
    (ready,) = warden._pending
    assert len(ready.iq) == len(woken.good)
    assert woken.radio.sent == []
    due_ns = (woken.at_ns // frame_ns) * frame_ns
    assert woken.at_ns == due_ns
    warden._link = passing._inner  # type: ignore[assignment]
    woken.turn()
    assert [len(iq) for iq in woken.radio.sent] == [len(woken.good)]


@pytest.mark.parametrize("said", ["incumbent", "cause", "deaf", "heard tomorrow", "withdrawn", "permit", "too late"])
def test_what_a_decision_rests_on_is_decided_on_in_the_turn_it_is_heard(
    woken: Woken, passing: Passing, said: str
) -> None:
    warden = woken.warden
    (held,) = warden._permits.all()
    message: LinkMessage = {
        "incumbent": lambda: beat(woken, incumbents_hz=[[1, 2]]),
        "cause": lambda: beat(woken, cause_ns=1),
        "deaf": lambda: beat(woken, listened_ns=None),
        "heard tomorrow": lambda: beat(woken, listened_ns=woken.at_ns + NS),
        "withdrawn": lambda: Withdraw(sid=held.permit.sid, reason="PREEMPTED", detail="x", cause_ns=woken.at_ns),
        "permit": lambda: NewPermit(artifact=woken.artifact),
        "too late": lambda: beat(woken),
    }[said]()
    if said == "too late":
        warden._decided_until_ns = woken.at_ns + 1_000_000
    saying(woken, passing, message)
    warden._wait()
    assert len(passing.waits_ms) == 1
