"""Tests that nothing radiates after agent or warden is killed or stopped while transmitting, judged by the oracle."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from unittest.mock import Mock

import pytest

from agent.node import warden_process
from agent.node.events import read_events
from agent.node.guard import CHANGE_NS, OVER_NS, Guard, GuardNews
from agent.node.guard import RETRY_NS as GUARD_RETRY_NS
from agent.node.survivor import LIMIT_S, mute_until_silent
from agent.trial.folder import Layout, prepare
from agent.trial.processes import Child, free_ports, spawn, stop
from agent.trial.run import NODE, Options, _await_ready, _Tail, scenario_of, start_air
from radio.errors import HardwareError
from radio.ports import RfState
from radio.process import PARENT
from sim.airclient import AirClient
from sim.oraclelog import read_log

LIMIT_NS = 1_000_000_000
"""Far above what it takes (see `bandpact bench`): a test machine may be busy, a forgotten carrier stays for ever."""


def waited(condition: Callable[[], object], limit_s: float = 40.0) -> bool:
    """Poll, without sleeping longer than a socket would, until something holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        signal.sigtimedwait([], 0.02)
    return True


class Running:
    """Holder and users with their air, ready to have plugs pulled."""

    def __init__(self, root: Path) -> None:
        options = Options(scenario="neighbours", seed=3, duration_s=None, recording=None, base_port=None)
        scenario, spec, duration_s = scenario_of(options)
        ports = free_ports(len(scenario.nodes), None)
        self.layout: Layout = prepare(root, scenario, spec, seed=3, duration_s=duration_s, ports=ports)
        self.names = [n.name for n in scenario.nodes if n.role != "attacker"]
        self.children: dict[str, Child] = {}
        self.air: list[Child] = []
        self.client = AirClient(self.layout.air_endpoint)

    def begin(self) -> None:
        """Start all of it; `close` ends what of it was started."""
        for name in self.names:
            self.children[name] = spawn(name, NODE, self.layout.config_of(name), self.layout.root)
        _await_ready(_Tail(self.layout), list(self.children.values()), len(self.names))
        child, _ = start_air(self.layout)
        self.air.append(child)

    def gate(self, name: str) -> str:
        gates = [e["state"] for e in read_events(self.layout.root / name) if e["event"] == "gate"]
        return gates[-1] if gates else ""

    def agent(self, name: str) -> int:
        return self.children[name].process.pid

    def warden(self, name: str) -> int:
        agent = self.agent(name)
        tasks = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
        return next(int(pid) for pid in tasks if b"warden_process" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def rf(self, name: str) -> str:
        return str(self.client.state()["radios"][name]["rf"])

    def last_power_ns(self, name: str) -> int:
        self.client.dump()
        return max(b.end_ns for b in read_log(self.layout.oracle_log) if b.radio == name)

    def close(self) -> None:
        for child in self.children.values():
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGCONT)
        stop(list(self.children.values()))
        self.client.close()
        stop(self.air)


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = Running(tmp_path_factory.mktemp("p"))
    try:
        made.begin()
        yield made
    finally:
        made.close()


@pytest.mark.feature("R7")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_lost_agent_and_lost_warden_fall_silent(running: Running, number: signal.Signals) -> None:
    assert waited(lambda: running.gate("user-a") == running.gate("user-b") == "OPEN")
    victims = {"user-a": running.agent("user-a"), "user-b": running.warden("user-b")}
    pulled_ns = time.monotonic_ns()
    for pid in victims.values():
        os.kill(pid, number)
    for name in victims:
        assert waited(lambda name=name: running.rf(name) == "off"), name  # type: ignore[misc]
        took_ns = running.last_power_ns(name) - pulled_ns
        print(f"{name}: {number.name} to RF off in {took_ns / 1e6:.1f} ms")
        assert took_ns < LIMIT_NS, name
    for pid in victims.values():
        if number is signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.feature("R7")
def test_an_agent_and_its_warden_lost_at_once_fall_silent(running: Running) -> None:
    """Neither can silence for the other: both killed, and both stopped."""
    assert waited(lambda: running.gate("user-a") == running.gate("user-b") == "OPEN")
    numbers = {"user-a": signal.SIGKILL, "user-b": signal.SIGSTOP}
    pids = {name: (running.warden(name), running.agent(name)) for name in numbers}
    for warden, agent in pids.values():
        assert f"{PARENT}={agent}".encode() in Path(f"/proc/{warden}/environ").read_bytes().split(b"\0")
        assert os.getsid(warden) == warden, "what a terminal sends to the agent's group reaches the warden"
    pulled_ns = time.monotonic_ns()
    for name, number in numbers.items():
        for pid in pids[name]:
            os.kill(pid, number)
    for name, number in numbers.items():
        assert waited(lambda name=name: running.rf(name) == "off"), name  # type: ignore[misc]
        took_ns = running.last_power_ns(name) - pulled_ns
        print(f"{name}: agent and warden {number.name} to RF off in {took_ns / 1e6:.1f} ms")
        assert took_ns < round(LIMIT_S * 1e9) + LIMIT_NS, name
    for pid in pids["user-b"]:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.feature("R7")
def test_an_agent_that_is_stopped_silences_for_a_warden_that_hangs(running: Running) -> None:
    assert waited(lambda: running.gate("user-a") == "OPEN")
    os.kill(running.warden("user-a"), signal.SIGSTOP)
    os.kill(running.agent("user-a"), signal.SIGTERM)
    assert waited(lambda: running.children["user-a"].process.poll() is not None)
    assert running.rf("user-a") == "off"
    silences = [e["rf"] for e in read_events(running.layout.root / "user-a") if e["event"] == "warden silent"]
    assert silences[-1] == "off"


@pytest.mark.feature("R7")
def test_muting_goes_on_until_the_radio_reads_back_as_silent_or_the_time_is_over() -> None:
    mute = Mock(side_effect=[RfState.UNKNOWN, RfState.ON, HardwareError("gone"), RfState.OFF, RfState.ON])
    assert mute_until_silent(mute, retry_s=0.0) is RfState.OFF
    assert mute.call_count == 4
    assert mute_until_silent(Mock(return_value=RfState.UNKNOWN), last_s=0.0) is RfState.UNKNOWN


@pytest.mark.feature("R7")
def test_a_warden_mutes_until_its_radio_reads_back_as_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    warden, stop = Mock(), Event()
    stop.set()
    warden.silence.side_effect = [RfState.UNKNOWN, RfState.ON, RfState.OFF, RfState.ON]
    for name in ("_until_found", "_cbrs", "timekeeper", "warden_of", "OperatorDoor"):
        monkeypatch.setattr(warden_process, name, Mock(return_value=warden))
    monkeypatch.setattr(warden_process, "_cbrs", Mock(return_value=(None, {})))
    assert warden_process._guard(Mock(run_folder=Path()), stop, Mock()) is RfState.OFF
    assert warden.silence.call_count == 3


def test_the_guard_mutes_once_and_again_until_it_reads_back() -> None:
    answers = iter([RfState.UNKNOWN, RfState.OFF])
    guard = Guard(limit_ns=200, mute=lambda: next(answers))
    assert guard.check(10**12, alive=False) is None
    guard.heard(1000, silent_by_ns=None)
    assert guard.check(1200, alive=True) is None
    assert guard.check(1201, alive=True) is RfState.UNKNOWN
    assert guard.check(1300, alive=True) is None
    assert guard.check(10**9, alive=True) is RfState.OFF
    assert guard.check(10**10, alive=False) is None
    guard.heard(10**10, silent_by_ns=None)
    assert guard.check(10**10 + 1, alive=True) is None


@pytest.mark.feature("R7")
def test_a_radio_that_is_gone_for_hours_leaves_the_loop_its_time_and_one_line_in_the_log() -> None:
    """Each try took longer than the pause from its beginning: the loop only muted, and wrote a line about each."""
    now_ns, told, turns_between = [0], list[int](), list[int]()

    def mute() -> RfState:
        now_ns[0] += 9 * GUARD_RETRY_NS // 5  # until the device's library gives up
        return RfState.UNKNOWN

    guard, news = Guard(limit_ns=200, mute=mute, monotonic_ns=lambda: now_ns[0]), GuardNews()
    guard.heard(0, silent_by_ns=None)
    turns = 0
    while now_ns[0] < 600_000_000_000:  # ten minutes, a turn each 20 ms
        now_ns[0] += 20_000_000
        turns += 1
        at_ns = now_ns[0]
        state = guard.check(at_ns, alive=False)
        if state is not None:
            turns_between.append(turns)
            turns = 0
            if news.is_news(state, at_ns, alive=False):
                told.append(at_ns)
        assert not news.is_over(at_ns, heard_ns=0)
    assert min(turns_between[1:]) >= GUARD_RETRY_NS // 20_000_000 - 1
    assert len(told) == 1
    assert news.is_news(RfState.OFF, now_ns[0], alive=False), "the plug is in again"


@pytest.mark.feature("R7")
def test_a_warden_that_speaks_again_is_told_of_once() -> None:
    news = GuardNews()
    assert not news.is_over(5 * OVER_NS, heard_ns=5 * OVER_NS), "nothing was told"
    assert news.is_news(RfState.OFF, 1000, alive=True)
    assert not news.is_over(OVER_NS, heard_ns=OVER_NS), "too early to tell"
    assert not news.is_over(3 * OVER_NS, heard_ns=1000), "it is not heard"
    assert news.is_over(3 * OVER_NS, heard_ns=3 * OVER_NS)
    assert not news.is_over(4 * OVER_NS, heard_ns=4 * OVER_NS)
    assert news.is_news(RfState.OFF, 5 * OVER_NS, alive=True), "silent once more"


@pytest.mark.feature("R7")
def test_a_warden_that_ended_is_not_told_of_as_heard_again() -> None:
    """Its last word came in the turn that found it gone, a moment after that began: for as long, later, it was back."""
    news = GuardNews()
    assert news.is_news(RfState.OFF, 0, alive=False)
    assert not any(news.is_over(at_ns, heard_ns=1_000_000) for at_ns in range(0, 2 * OVER_NS, 500_000))


@pytest.mark.feature("R7")
def test_a_readback_that_goes_back_and_forth_fills_no_log_and_hides_no_change() -> None:
    news, told = GuardNews(), list[tuple[int, RfState]]()
    states = (RfState.ON, RfState.UNKNOWN)
    for turn in range(7200):
        now_ns, state = turn * GUARD_RETRY_NS, states[turn // 7 % 2]
        if news.is_news(state, now_ns, alive=True):
            told.append((now_ns, state))
    assert told[0] == (0, RfState.ON)
    assert len(told) <= 7200 * GUARD_RETRY_NS // CHANGE_NS + 1
    end_ns = 7200 * GUARD_RETRY_NS
    assert news.is_news(RfState.OFF, end_ns, alive=True), "silence is told at once"
    later = (end_ns + turn * GUARD_RETRY_NS for turn in range(1, 100))
    assert next(at for at in later if news.is_news(RfState.UNKNOWN, at, alive=True)) <= end_ns + CHANGE_NS


@pytest.mark.feature("R7")
def test_the_guard_mutes_a_warden_that_is_not_silent_by_its_own_deadline() -> None:
    muted: list[RfState] = []
    guard = Guard(limit_ns=200, mute=lambda: muted.append(RfState.OFF) or RfState.OFF)  # type: ignore[func-returns-value]
    guard.heard(1000, silent_by_ns=1100)
    assert guard.check(1100, alive=True) is None
    guard.closed()
    assert guard.check(1150, alive=True) is None
    guard.heard(1200, silent_by_ns=1300)
    assert guard.check(1301, alive=True) is RfState.OFF
    assert guard.check(1302, alive=True) is None
    assert muted == [RfState.OFF]
