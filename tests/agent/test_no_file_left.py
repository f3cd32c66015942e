"""Where a process may open no file and start no thread for a while, what it does beside its settlements waits."""

import asyncio
import json
import os
import queue
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import agent.node.events as event_log
from agent.kit.door import TrialDoor
from agent.node.control import Client, NotRunning
from agent.node.directories import Directories
from agent.node.events import BEFORE, FILE, EventLog, read_events
from agent.page.plan import ServedNode
from agent.page.stopbutton import stop_node
from agent.witness.boundedpost import posted
from radio.cbrs.door import CbsdDoor, WardenGiver
from radio.devicewatch import DeviceWatch
from radio.errors import RadioError
from radio.listener import Listener, LookPlan
from radio.ring import SampleRing
from radio.rulebook import SeenFile, SeenRules, Settled
from radio.stream import StreamListener
from settlement.mesh.keys import TransportKey
from settlement.mesh.sockets import Mesh
from tests.agent.test_looks_missed import watcher_of
from tests.agent.test_plugs import waited
from tests.radio.test_listener import SETTINGS

NOBODY: Any = SimpleNamespace(holder=SimpleNamespace(offers=()))
pytestmark = [pytest.mark.feature("R7"), pytest.mark.attack(65)]


def _another() -> int | None:
    try:
        return os.dup(0)
    except OSError:
        return None


@contextmanager
def none_left() -> Iterator[None]:
    """This process may open no file: as where strangers' connections hold every one."""
    kept = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    holes = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, kept[1]))
        while (one := _another()) is not None:  # and none below is free
            holes.append(one)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, kept)
        for one in holes:
            os.close(one)


def test_a_hint_of_where_a_neighbour_may_be_is_left_alone(tmp_path: Path) -> None:
    """Anybody on the local network may forge one, at the instant at which nothing more can be opened."""
    del tmp_path
    mesh = Mesh(TransportKey.generate(), "tcp://127.0.0.1:*", lambda _: True)
    try:
        known, unknown = TransportKey.generate().public, TransportKey.generate().public
        mesh.connect(known, "tcp://127.0.0.1:9")
        with none_left():
            assert [mesh.hint(one, "tcp://127.0.0.1:19") for one in (known, unknown)] == [False, False]
        assert [mesh.hint(one, "tcp://127.0.0.1:19") for one in (known, unknown)] == [True, True]
    finally:
        mesh.close()


def test_events_go_on_where_their_full_file_cannot_be_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "FILE_BYTES_MAX", 4000)
    monkeypatch.setattr(event_log, "AGAIN_BYTES", 500)
    log = EventLog(tmp_path, "n")
    with none_left():
        for number in range(100):
            log.write("told", number=number)
    for number in range(100, 110):
        log.write("told", number=number)
    log.close()
    assert [one["number"] for one in read_events(tmp_path)] == list(range(110))
    assert json.loads((tmp_path / BEFORE).read_text().splitlines()[-1])["number"] >= 99
    assert (tmp_path / FILE).stat().st_size <= 4000


def test_events_that_a_full_disk_does_not_take_are_counted_and_end_nothing(tmp_path: Path) -> None:
    """Whoever listens hears them all the same: the page, the log lines of the service."""
    told: list[Any] = []
    log = EventLog(tmp_path, "n")
    log.listeners.append(lambda name, fields: told.append((name, fields["number"])))
    log.write("told", number=0)
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / FILE).stat().st_size + 10, kept[1]))
        for number in (1, 2, 3):  # the first in part
            log.write("told", number=number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, before)
    assert log.lost == 3
    log.write("told", number=4)
    log.write("told", number=5)
    log.close()
    found = read_events(tmp_path)
    assert [(one["event"], one.get("number"), one.get("events")) for one in found] == [
        ("told", 0, None), ("told", 4, None), ("events lost", None, 3), ("told", 5, None),
    ]  # fmt: skip
    assert told == [("told", number) for number in range(6)]


def test_a_command_says_so_instead_of_a_defect(tmp_path: Path) -> None:
    with none_left(), pytest.raises(NotRunning, match="Too many open files"):
        Client(tmp_path)
    Client(tmp_path).close()


@contextmanager
def no_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This host starts no thread (`ulimit -u`)."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        yield


def test_what_is_asked_beside_the_loop_waits_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on, and the thread is started once there is one; the question that waited is asked once."""
    asked: queue.Queue[str] = queue.Queue()
    found = Directories(("http://d",), ("offers",), ask=lambda url, _: (asked.put(url), ())[1])
    with no_thread(monkeypatch):
        found.turn(NOBODY, (), 0)
    assert asked.empty()
    found.turn(NOBODY, (), 10**12)
    assert asked.get(timeout=10) == "http://d"
    found.close()
    assert found._thread is not None
    found._thread.join(10)
    assert asked.empty()


def test_a_post_that_no_thread_bounds_is_an_answer_that_did_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    with no_thread(monkeypatch):
        assert "can't start new thread" in str(posted("http://127.0.0.1:9/", b"", limit=10, within_s=1.0))


@pytest.mark.parametrize("later", [True, False], ids=["a thread later", "none until the end"])
def test_a_warden_that_cannot_write_the_rules_it_saw_does_so_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    """One that forgot them would believe an old rule."""
    kept = SeenFile(tmp_path / "seen")
    seen = SeenRules(rules=(), settled=(Settled(sid=bytes(32), confirm=bytes(32), end_ns=7),))
    with no_thread(monkeypatch):
        kept.keep(seen)
        assert "no thread" in (kept.fault or "")
        if not later:
            kept.close()
    if later:
        kept.keep(seen)
        kept.close()
    assert kept.fault is None
    assert SeenFile(tmp_path / "seen").read() == seen


def test_the_door_for_base_stations_lets_in_who_comes_once_a_file_is_left(tmp_path: Path) -> None:
    door = CbsdDoor(tmp_path / "cbsd", lambda: None)
    answering = threading.Thread(target=lambda: [door.turn(lambda _: 7) or time.sleep(0.01) for _ in range(1000)])
    waiting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with none_left():
            waiting.connect(str(tmp_path / "cbsd"))
            assert not select.select([waiting], [], [], 0.5)[0]
        answering.start()
        giver = WardenGiver(tmp_path / "cbsd")
        assert giver.now_ns() == 7
        giver.close()
    finally:
        waiting.close()
        door.close()


@pytest.mark.parametrize("failure", [ValueError("x"), OSError(24, "Too many open files"), RadioError("gone")])
def test_whoever_watches_or_hears_a_device_goes_on_after_whatever_fails_beneath(failure: Exception) -> None:
    device, looked = Failing(failure), threading.Event()
    watch = DeviceWatch(device, every_s=0.001, rouse=looked.set)  # type: ignore[arg-type]
    watch.start()
    assert looked.wait(10)
    assert str(failure) in watch.failure_since(0)
    device.mended = True
    waited(lambda: watch.answered_since(0))
    watch.stop()
    assert device.mended
    assert watch.failure_since(0) == ""


@dataclass
class Failing:
    """A device that raises until it is mended."""

    failure: Exception
    mended: bool = False

    def drift(self) -> None:
        if not self.mended:
            raise self.failure


def test_the_pages_stop_says_what_it_could_not_start(tmp_path: Path) -> None:
    node = ServedNode(name="n", config=tmp_path / "node.toml", folder=tmp_path, run_folder=tmp_path)

    async def stopped() -> dict[str, object]:
        with none_left():
            return await stop_node(node)

    said = asyncio.run(stopped())
    assert said["rf"] == "unknown"
    assert "Too many open files" in str(said["why"])


@pytest.mark.parametrize("kind", [Listener, StreamListener])
def test_a_listener_says_what_failed_beneath_and_tunes_again(tmp_path: Path, kind: Any) -> None:
    """An error that no driver turned into a radio's own ended the thread: nothing was heard again, and nobody knew."""
    receiver, rouse = Untuned(), threading.Event()
    rings = [SampleRing(tmp_path / str(n), slots=2, slot_samples=64, create=True) for n in range(2)]
    plan = LookPlan(settings=SETTINGS, samples=64, frame_ns=10**9, offset_ns=0)
    listener = kind(receiver, *rings[: 1 if kind is Listener else 2], plan, rouse=rouse.set)
    listener.start()
    assert waited(lambda: receiver.tunings >= 3)
    assert listener.fault == "ValueError: not a number"
    listener.stop()


class Untuned:
    """A receiver whose library raises what nobody expects."""

    tunings = 0

    def tune_rx(self, _: object) -> None:
        self.tunings += 1
        raise ValueError("not a number")


def test_a_look_that_cannot_be_sensed_is_an_alarm_and_the_next_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, _, _ = watcher_of(tmp_path)
    sensed: list[int] = []

    def sense(look: Any) -> None:
        if not sensed:
            sensed.append(0)
            raise ValueError("no such bin")
        sensed.append(look)

    monkeypatch.setattr(watcher, "_sense", sense)
    watcher.start()
    watcher.look(1)  # type: ignore[arg-type]
    assert waited(lambda: watcher.fault is not None)
    assert "a look could not be sensed (ValueError: no such bin)" in watcher.alarms(time.monotonic_ns())
    watcher.look(2)  # type: ignore[arg-type]
    assert waited(lambda: sensed == [0, 2] and watcher.fault is None)
    watcher.stop()


def test_one_question_that_fails_does_not_end_the_trials_door() -> None:
    def done(_: object) -> None:
        raise ZeroDivisionError

    (said,) = TrialDoor._answered(SimpleNamespace(_done=done), [b'{"do": "status"}'])  # type: ignore[arg-type]
    assert json.loads(said) == {"ok": False, "why": "a defect: ZeroDivisionError()"}
