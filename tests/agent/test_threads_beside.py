"""Threads beside a loop: what fails once in one of them is told, and the thread goes on with all else."""

import contextlib
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.cbrs import calendarfile
from agent.cbrs.calendarfile import CalendarFile
from agent.config.cbrs import CalendarSection
from agent.node import directories, discovery, stockwitnesses
from agent.node.directories import ASK_NS, Directories
from agent.node.stockwitnesses import StockAsking
from agent.service.probes import Watchdog
from agent.witness.boundedpost import posted
from settlement.chain.checkpoint import Head
from settlement.chain.keys import SigningKey
from settlement.market.directory import OFFERS, DirectoryQuery


@pytest.mark.feature("A8")
def test_a_proxy_of_a_kind_that_is_not_installed_is_an_answer_that_did_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ended the thread that asks directories, and no directory was asked again, nor anybody told."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert "socksio" in str(posted("http://127.0.0.1:9/", b"", limit=10, within_s=20.0))


@pytest.mark.feature("A8")
def test_a_client_that_cannot_be_loaded_is_an_answer_that_did_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no file is left in the instant in which the first directory is asked."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert "httpx" in str(posted("http://127.0.0.1:9/", b"", limit=10, within_s=20.0))


@pytest.mark.feature("A8")
def test_a_defect_at_one_directory_is_told_and_keeps_no_other_from_being_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, int]] = []
    now_ns = 0

    def find(url: str, _query: DirectoryQuery) -> Any:
        asked.append((url, now_ns))
        if url == "bad":
            raise LookupError("a defect")
        return ()

    monkeypatch.setattr(directories, "started", lambda work, _name: work)
    one = Directories(["bad", "good"], (OFFERS,), ask=find)
    party = cast("Any", SimpleNamespace(holder=SimpleNamespace(offers=[])))
    for second in range(600):
        now_ns = second * ASK_NS
        one.turn(party, (), now_ns)
        one._jobs.put(None)
        one._work()  # as the thread does, until there is nothing more
        while not one._answers.empty():
            one._answers.get_nowait()
    assert sum(url == "good" for url, _ in asked) == 600
    assert 20 <= sum(url == "bad" for url, _ in asked) <= 30, "later each time, as one that is down"
    assert one.why["bad"] == "bad: a defect: LookupError('a defect')"


@pytest.mark.feature("A8")
def test_a_defect_at_one_witness_is_told_and_keeps_no_other_from_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asking, head = (
        StockAsking({"bad": "http://bad", "good": "http://good"}, bytes(32)),
        Head(origin="log", size=7, root=bytes(32)),
    )
    stock = [SimpleNamespace(name=name, key=bytes(32)) for name in ("bad", "good")]
    witness = cast("Any", SimpleNamespace(stock=stock, waiting=lambda _: (head.size, "note")))

    def ask(url: str, *_: object) -> Any:
        if url == "http://bad":
            raise LookupError("a defect")
        return stockwitnesses.WitnessAnswer(lines=("line",))

    monkeypatch.setattr(stockwitnesses, "open_note", lambda *_: head)
    monkeypatch.setattr(stockwitnesses, "started", lambda work, _name: work)
    monkeypatch.setattr(stockwitnesses, "ask", ask)
    assert asking.turn(witness, cast("Any", None)) == []
    asking._questions.put(None)
    asking._work()
    found = asking.turn(witness, cast("Any", SimpleNamespace(consistency=lambda *_: ())))
    assert [one.lines for one in found] == [("line",)]
    assert asking.why == {"bad": "http://bad: a defect: LookupError('a defect')", "good": ""}


class Turns:
    """An event that is set after so many waits."""

    def __init__(self, turns: int) -> None:
        self.turns = turns

    def wait(self, _: float) -> bool:
        self.turns -= 1
        return self.turns < 0

    def set(self) -> None:
        self.turns = 0


@pytest.mark.feature("U5")
def test_a_supervisor_that_takes_nothing_for_a_while_is_fed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while systemd starts anew: the thread that feeds it ended, and a node that was well was killed for it."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    states = iter(range(100))

    def state() -> str:
        if next(states) == 3:  # nobody is there until then
            heard.bind(str(tmp_path / "n"))
        return "idle"

    watchdog = Watchdog(lambda: None, state)
    monkeypatch.setattr(watchdog, "_told", True)
    monkeypatch.setattr(watchdog, "_stop", Turns(6))
    with heard:
        heard.setblocking(False)
        watchdog._run()
        watchdog._socket.close()
        said: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(heard.recv(4096).decode())
    assert said.count("WATCHDOG=1\n") == 3


@pytest.mark.feature("R14")
def test_a_calendar_is_looked_at_again_after_a_defect_which_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = SigningKey.from_seed(bytes(32)).public.hex()
    made = CalendarFile(CalendarSection(file=tmp_path / "calendar", keys=[key]), tmp_path / "kept")
    made.close()
    capsys.readouterr()
    (tmp_path / "calendar").write_bytes(b"{}")
    looks: list[int] = []

    def defect(*_: object, **__: object) -> None:
        looks.append(1)
        raise LookupError("a defect")

    monkeypatch.setattr(calendarfile, "open_calendar", defect)
    made._ended = cast("Any", Turns(5))
    made._watch()
    assert len(looks) == 5
    assert capsys.readouterr().err == f"calendar: {tmp_path}/calendar: a defect: LookupError('a defect')\n"
    assert "a defect" in str(made.fault)


@pytest.mark.attack(65)
def test_very_many_names_are_let_go_of_once_the_host_starts_threads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread was to be had at the name that filled the measure, names were kept without end."""
    one = discovery.Discovery.__new__(discovery.Discovery)
    one._names = 0
    one._unknown = cast("Any", SimpleNamespace(put_nowait=lambda _: None))
    threads, tries = iter([None, None, "a thread"]), list[str]()

    def started(_work: object, name: str) -> Any:
        tries.append(name)
        return next(threads)

    monkeypatch.setattr(discovery, "NAMES_MAX", 5)
    monkeypatch.setattr(discovery, "started", started)
    from zeroconf import ServiceStateChange

    for number in range(9):
        one._changed(cast("Any", None), discovery.SERVICE, f"n{number}", ServiceStateChange.Removed)
    assert len(tries) == 3
    assert one._names == 2
