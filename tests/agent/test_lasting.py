"""Tests of conditions that last for hours: reported once with the remedy, and once when over; no file grows."""

import errno
import socket
import threading
from concurrent.futures import wait
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from agent.cbrs.transport import NoAnswer
from agent.cbrs.upward import OWN, Upward
from agent.node import apart, daemon, stockwitnesses, warden_process
from agent.node.childlogs import BYTES_MAX, keep_small
from agent.node.daemon import Node
from agent.node.events import EventLog, read_events
from agent.node.guard import MISSING_NS, OVER_NS, Guard, GuardNews
from agent.node.livefeed import Showing
from agent.node.mutehelper import MuteHelper
from agent.node.stockwitnesses import StockAsking
from agent.node.vitals import Vitals
from agent.samples.process import write_state
from agent.service.logs import URGENT
from agent.service.snapshot import forget_status, write_status
from agent.witness.client import WitnessAnswer
from radio.cbrs.door import CbsdDoor
from radio.cbrs.session import RETRY_NS
from radio.errors import Disconnected
from radio.operator import OperatorDoor
from radio.ports import RfState
from radio.ring import RingError
from settlement.chain.checkpoint import Head
from settlement.core.fixes import TimeFix, TimeSource
from tests.radio.cbrs.made import REGISTRATION

HOUR_S = 3600
NS = 1_000_000_000


@pytest.mark.feature("R10")
def test_a_sas_that_does_not_answer_for_an_hour_is_told_of_once_and_again_when_it_answers() -> None:
    now_s, asked, said = [0], list[int](), list[str]()
    answer: list[Any] = [NoAnswer(why="ConnectError: refused")]

    def post(_method: str, _body: dict[str, Any]) -> Any:
        asked.append(now_s[0])
        return answer[0]

    def fix() -> TimeFix:
        now_ns = 10**18 + now_s[0] * NS
        return TimeFix(earliest_ns=now_ns, latest_ns=now_ns, source=TimeSource.SIMULATED, trusted=True)

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        up = Upward(post=post, channel=theirs, fix=fix, say=said.append)
        up.know(OWN, REGISTRATION)
        for now_s[0] in range(HOUR_S):
            up.turn()
            wait(list(up._sent))
        assert len(asked) > HOUR_S * NS // RETRY_NS
        assert said == ["registration: ConnectError: refused; asked again"]
        answer[0] = {"registrationResponse": [{"response": {"responseCode": 200}}]}
        for now_s[0] in range(HOUR_S, HOUR_S + 60):
            up.turn()
            wait(list(up._sent))
    assert said[1] == "registration: the SAS answers again"
    up._pool.shutdown()


@pytest.mark.feature("R10")
def test_a_sas_that_answers_one_method_and_not_another_is_told_of_once(tmp_path: Path) -> None:
    """Each answer was news that it answers again, and each failure of the other method that it does not."""
    said = list[str]()
    up = Upward(post=cast("Any", None), channel=socket.socket(), fix=cast("Any", None), say=said.append)
    with up.channel:
        for _ in range(100):
            up._silent_for("heartbeat", "")
            up._silent_for("grant", "HTTP 500")
        up._silent_for("grant", "")
    assert said == ["grant: HTTP 500; asked again", "grant: the SAS answers again"]
    up._pool.shutdown()


@pytest.mark.feature("R8")
def test_a_warden_apart_whose_rings_do_not_fit_tries_later_each_time_and_leaves_no_thread_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent with another configuration made them: five times a second it took a thread more and forked a process."""
    started, waits_s, said, tried = list[threading.Thread](), list[float](), list[str](), list[int]()

    class Started(threading.Thread):
        def start(self) -> None:
            started.append(self)
            super().start()

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits_s.append(timeout or 0.0)
            if len(waits_s) == 100:
                self.set()
            return self.is_set()

    def run(*_: object) -> None:
        tried.append(1)
        raise RingError("16 slots, not 8")

    (tmp_path / "rx").write_bytes(b"")
    config = SimpleNamespace(warden=SimpleNamespace(apart=True), run_folder=tmp_path)
    monkeypatch.setattr(apart, "run", run)
    monkeypatch.setattr(apart.threading, "Thread", Started)
    apart.guard_apart(cast("Any", config), Stop(), said.append)
    assert len(tried) == len(waits_s) == len(started) == 100
    assert waits_s[0] == apart.RETRY_S
    assert sum(waits_s) > 90 * apart.RETRY_MAX_S
    assert len(said) == 1
    assert "16 slots" in said[0]
    for one in started:
        one.join(60.0)
        assert not one.is_alive()


@pytest.mark.feature("R8")
def test_a_warden_whose_rings_do_not_fit_lets_go_of_all_that_it_had_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try left the radio open, the threads of a clock, a client towards the SAS and a door for base stations."""
    opened = list[str]()

    def part(name: str, desk: Any = None) -> Any:
        opened.append(name)
        return SimpleNamespace(close=lambda: opened.remove(name), fix=None, desk=desk)

    def no_warden(*_: object, **__: object) -> None:
        assert opened == ["radio", "clock", "desk", "cbrs"]
        raise RingError("16 slots, not 8")

    monkeypatch.setattr(warden_process, "radio_of", lambda _: part("radio"))
    monkeypatch.setattr(warden_process, "timekeeper", lambda *_, **__: part("clock"))
    monkeypatch.setattr(warden_process, "_cbrs", lambda _: (part("cbrs", desk=part("desk")), {}))
    monkeypatch.setattr(warden_process, "warden_of", no_warden)
    with pytest.raises(RingError):
        warden_process._guard(cast("Any", None), threading.Event(), cast("Any", None))
    assert not opened


@pytest.mark.feature("R8")
@pytest.mark.parametrize(
    "bad", [WitnessAnswer(why="down"), WitnessAnswer(knows=0, why="it cosigned 0 entries last")], ids=["down", "astray"]
)
def test_a_witness_that_never_helps_is_asked_seldom_and_keeps_no_other_waiting(
    bad: WitnessAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was down filled the queue, five seconds a question; one that said another size was asked at once."""
    now_ns, names = [0], ("bad", "good")
    asking = StockAsking(dict.fromkeys(names, "http://none"), bytes(32))
    head = Head(origin="log", size=7, root=bytes(32))
    stock = [SimpleNamespace(name=name, key=bytes(32)) for name in names]
    witness = cast("Any", SimpleNamespace(stock=stock, waiting=lambda _: (head.size, "note")))
    lineage = cast("Any", SimpleNamespace(consistency=lambda *_: ()))
    monkeypatch.setattr(stockwitnesses, "open_note", lambda *_: head)
    monkeypatch.setattr(stockwitnesses, "started", lambda *_: None)
    monkeypatch.setattr(stockwitnesses.time, "monotonic_ns", lambda: now_ns[0])
    asked, free_ns = {"bad": list[int](), "good": list[int]()}, 0
    for now_ns[0] in range(0, HOUR_S * NS, NS // 4):
        asking.turn(witness, lineage)
        while now_ns[0] >= free_ns and not asking._questions.empty():  # the thread beside, which takes its time
            question = asking._questions.get_nowait()
            assert question is not None
            asked[question.key.name].append(now_ns[0])
            free_ns = now_ns[0] + (5 * NS if question.key.name == "bad" else 0)
            answer = bad if question.key.name == "bad" else WitnessAnswer(lines=("line",))
            asking._answers.put((question, answer))
    assert HOUR_S // 60 < len(asked["bad"]) < HOUR_S * NS // stockwitnesses.AGAIN_MAX_NS + 10
    assert len(asked["good"]) > HOUR_S // 5
    assert asking._questions.qsize() <= len(names)


@pytest.mark.feature("R8")
def test_a_witness_that_takes_its_time_is_asked_nothing_more_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that grows each turn was a question each turn."""
    asking, size = StockAsking({"slow": "http://none"}, bytes(32)), [0]
    stock = [SimpleNamespace(name="slow", key=bytes(32))]
    witness = cast("Any", SimpleNamespace(stock=stock, waiting=lambda _: (size[0], "note")))
    monkeypatch.setattr(stockwitnesses, "open_note", lambda *_: Head(origin="log", size=size[0], root=bytes(32)))
    monkeypatch.setattr(stockwitnesses, "started", lambda *_: None)
    for size[0] in range(1, 50):
        asking.turn(witness, cast("Any", None))
    assert asking._questions.qsize() == 1
    question = asking._questions.get_nowait()
    assert question is not None
    asking._answers.put((question, WitnessAnswer(lines=("line",))))
    asking.turn(witness, cast("Any", SimpleNamespace(consistency=lambda *_: ())))
    assert asking._questions.qsize() == 1


@pytest.mark.feature("R11")
def test_a_witness_is_asked_once_the_host_starts_threads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question was under way for ever, and nothing else started the thread that asks."""
    asking, head = StockAsking({"one": "http://none"}, bytes(32)), Head(origin="log", size=7, root=bytes(32))
    stock = [SimpleNamespace(name="one", key=bytes(32))]
    witness = cast("Any", SimpleNamespace(stock=stock, waiting=lambda _: (head.size, "note")))
    threads = iter([None] * 10 + [threading.current_thread()])
    monkeypatch.setattr(stockwitnesses, "open_note", lambda *_: head)
    monkeypatch.setattr(stockwitnesses, "started", lambda *_: next(threads))
    for _ in range(100):
        asking.turn(witness, cast("Any", None))
    assert asking._thread is threading.current_thread()
    assert asking._questions.qsize() == 1


@pytest.mark.feature("R8")
def test_what_a_library_says_each_second_for_weeks_fills_no_disk(tmp_path: Path) -> None:
    """The library of the Pluto writes a line to standard error each time that its device does not answer."""
    path, line = tmp_path / "warden.log", b"ERROR: READ LINE: -32\n" * 1000
    with path.open("ab", buffering=0) as held:  # as the warden's process does
        for number in range(500):
            held.write(line)
            keep_small(tmp_path)
            assert path.stat().st_size <= BYTES_MAX, number
        held.write(b"last\n")
    assert path.read_bytes().endswith(b"last\n")
    assert path.stat().st_size < BYTES_MAX + len(line), "no hole before what was written after"
    assert BYTES_MAX < (tmp_path / "warden.log.before").stat().st_size <= BYTES_MAX + len(line)
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) < 2 * BYTES_MAX + 2 * len(line)


@pytest.mark.feature("R8")
def test_a_warden_that_finds_no_radio_says_so_once_and_the_agent_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    news = GuardNews()
    told = [at_ns for at_ns in range(0, HOUR_S * NS, NS) if news.is_missing(at_ns, heard_ns=0, alive=True)]
    assert told == [MISSING_NS]
    end_ns = HOUR_S * NS
    assert news.is_over(end_ns + OVER_NS, heard_ns=end_ns + OVER_NS), "the plug is in"
    assert not news.is_missing(end_ns + OVER_NS, heard_ns=end_ns, alive=True)
    came_up = GuardNews()
    assert not came_up.is_missing(0, heard_ns=0, alive=True)
    assert not came_up.is_missing(MISSING_NS, heard_ns=1, alive=True)

    tries, waited = count(1), list[float]()

    def none(_: object) -> None:
        number = next(tries)
        raise Disconnected("ip:192.168.2.1: " + ("no answer" if number % 2 else f"try {number}: no route"))

    monkeypatch.setattr("agent.node.warden_process.radio_of", none)
    stop = cast("Any", SimpleNamespace(is_set=lambda: sum(waited) > HOUR_S, wait=waited.append))
    assert warden_process._until_found(cast("Any", None), stop) is None
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "warden: waiting for the radio: ip:192.168.2.1: no answer"
    assert said[1] == "warden: waiting for the radio: ip:192.168.2.1: try 2: no route", "another cause is said, too"
    assert len(said) == len(set(said)) == warden_process.CAUSES_MAX
    assert waited[:3] == [0.1, 0.2, 0.4], "a radio that is switched on with its node is found at once"
    assert len(waited) < HOUR_S / warden_process.RETRY_MAX_S + 10, "it asked ten times a second for hours"
    assert max(waited) <= 5.0, "a plug that is put in is noticed soon"


@pytest.mark.feature("R8")
@pytest.mark.parametrize(
    ("alive", "apart", "event", "words"),
    [
        (True, False, "radio missing", ("cable", "warden.log")),
        (False, False, "warden ended", ("the warden has ended", "warden.log", "start it again")),
        (False, True, "radio missing", ("`bandpact warden` running", "cable")),
    ],
    ids=["no radio", "the warden ended", "a service of its own"],
)
def test_a_warden_that_never_spoke_is_told_of_with_the_mend_of_its_cause(
    tmp_path: Path, alive: bool, apart: bool, event: str, words: tuple[str, ...]
) -> None:
    """Of a warden that had ended for a flaw of its configuration it was asked whether the radio's cable is in."""
    one = cast("Any", Node.__new__(Node))
    one.config = SimpleNamespace(warden=SimpleNamespace(apart=apart))
    one.guard, one.warden = Guard(1, lambda: RfState.OFF), SimpleNamespace(alive=alive)
    one._alive, one._warden_ns, one.events = alive, 0, EventLog(tmp_path, "n")
    for at_ns in range(0, HOUR_S * NS, NS):
        one._look_after_silence(at_ns)
    assert [told["event"] for told in read_events(tmp_path)] == [event]
    assert all(word in read_events(tmp_path)[0]["mend"] for word in words)
    assert event in URGENT, "a journal that is read for warnings alone shows it"
    if alive:
        one._alive = False
        one._look_after_silence(HOUR_S * NS)
        assert [told["event"] for told in read_events(tmp_path)] == [event, "warden ended"]
    one.events.close()


@pytest.mark.feature("R8")
@pytest.mark.parametrize(("state", "mend"), [(RfState.UNKNOWN, "power"), (RfState.OFF, "")])
def test_a_node_that_ends_without_knowing_its_radio_silent_says_what_to_do(
    state: RfState, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, told = Mock(), dict[str, Any]()
    one.warden.stop.return_value, one._registered, one.mesh.denied = False, False, {}
    one.events.write = lambda name, **fields: told.update({name: fields})
    monkeypatch.setattr(daemon, "mute_until_silent", lambda *_, **__: state)
    Node.close(one)
    assert told["warden silent"]["rf"] == state.value
    assert mend in told["warden silent"]["mend"]
    assert bool(mend) == bool(told["warden silent"]["mend"])


@pytest.mark.feature("R8")
def test_a_run_folder_that_was_deleted_is_told_of_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    vitals = Vitals(cast("Any", SimpleNamespace(run_folder=run)))
    assert not vitals.lost_run_folder()
    run.rmdir()
    assert [vitals.lost_run_folder() for _ in range(3)] == [True, False, False]
    run.mkdir()
    assert not vitals.lost_run_folder()
    run.rmdir()
    assert vitals.lost_run_folder()


@pytest.mark.feature("R8")
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_run_folder_that_may_not_be_looked_at_ends_no_node(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its parent is closed to the node's user, or its disk does not answer, the loop that asked for it ended."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    vitals = Vitals(cast("Any", SimpleNamespace(run_folder=Path("run"))))
    monkeypatch.setattr(Path, "stat", refused)
    assert [vitals.lost_run_folder() for _ in range(3)] == [True, False, False]


@pytest.mark.feature("R8")
def test_a_run_folder_that_is_none_any_more_takes_no_status_and_keeps_nothing_from_ending(tmp_path: Path) -> None:
    """A status that could not be written ended the agent, and a socket that could not be removed its end midway."""
    run = tmp_path / "run"
    run.mkdir()
    door, helper = OperatorDoor(run / "operator", lambda one: one), MuteHelper(run / "mute", lambda: RfState.OFF)
    stations = CbsdDoor(run / "stations", lambda: None)
    showing = Showing(folder=run, node="n", tally=cast("Any", None))
    run.rename(tmp_path / "moved")
    run.write_bytes(b"")
    write_status(run, {})
    forget_status(run)
    write_state(run, {})
    for one in (door, helper, stations, showing):
        cast("Any", one).close()
    assert stations.bell == -1
    assert run.read_bytes() == b""
