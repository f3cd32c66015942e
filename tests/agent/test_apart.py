"""The warden as a service of its own: what it shares with the agent, and who mutes when it is gone."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from agent.config.keyfiles import CHAIN, SIGN, former_chain, write_chain
from agent.node import mutehelper
from agent.node.guard import RETRY_NS, Guard, mute_by_own_connection
from agent.node.mutehelper import MuteHelper, ask_to_mute
from agent.node.trust import trust_of
from agent.trial.processes import FRUGAL, Child, spawn, stop
from agent.trial.run import NODE, start_air
from radio.errors import HardwareError
from radio.operator import OperatorError, ask
from radio.ports import RfState
from radio.ring import SampleRing
from sim.airclient import AirClient
from tests.agent.test_plugs import waited
from tests.agent.test_run import Service, laid_out

ROOT = Path(__file__).resolve().parents[2]
APART = {"BANDPACT_WARDEN__APART": "true"}


def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a")


class Helping:
    """A mute helper that serves in a thread."""

    def __init__(self, path: Path, silence: Callable[[], RfState]) -> None:
        self.stop, self.helper = threading.Event(), MuteHelper(path, silence)
        self.thread = threading.Thread(target=self.helper.serve, args=(self.stop,))
        self.thread.start()

    def close(self) -> None:
        self.stop.set()
        self.thread.join()
        self.helper.close()


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short(tmp_path_factory) / "mute"


@pytest.mark.feature("R6")
@pytest.mark.parametrize("state", list(RfState))
def test_whoever_knocks_mutes_and_hears_what_reads_back(path: Path, state: RfState) -> None:
    asked: list[int] = []

    def silence() -> RfState:
        asked.append(1)
        return state

    made = Helping(path, silence)
    try:
        assert path.stat().st_mode & 0o777 == 0o660
        assert ask_to_mute(path) is state
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.connect(str(path))  # says nothing, takes no answer
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as loud:
            loud.connect(str(path))
            with contextlib.suppress(OSError):  # it may have been answered and closed by then
                loud.send(b"arm for a day")
        assert ask_to_mute(path) is state
        assert len(asked) == 4
    finally:
        made.close()
    assert ask_to_mute(path, timeout_s=0.1) is RfState.UNKNOWN


@pytest.mark.parametrize("fault", [HardwareError("gone"), OSError(24, "no descriptor"), MemoryError(), ValueError("?")])
def test_a_helper_or_an_agent_whose_radio_fails_in_any_way_says_unknown_and_goes_on(
    path: Path, fault: Exception
) -> None:
    silence = Mock(side_effect=[fault, RfState.OFF, fault])
    made = Helping(path, silence)
    try:
        assert ask_to_mute(path) is RfState.UNKNOWN
        assert ask_to_mute(path) is RfState.OFF
        config = Mock()
        config.warden.apart, config.radio.silence = False, silence
        assert mute_by_own_connection(config) is RfState.UNKNOWN
    finally:
        made.close()


def test_a_helper_without_a_descriptor_for_who_knocks_answers_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutehelper, "POLL_S", 0.001)
    helper, stop = MuteHelper(path, lambda: RfState.OFF), threading.Event()
    bound = helper._socket
    knocks = Mock(side_effect=[OSError(24, "no descriptor"), TimeoutError, OSError(103, "gone"), TimeoutError])
    monkeypatch.setattr(helper, "_socket", Mock(accept=knocks))
    stopped = Mock(is_set=Mock(side_effect=[False] * 4 + [True]), wait=stop.wait)
    helper.serve(stopped)
    assert knocks.call_count == 4
    bound.close()


def test_the_guard_asks_again_until_the_helper_reads_silence(path: Path) -> None:
    answers = iter([RfState.ON, RfState.OFF])
    made = Helping(path, lambda: next(answers))
    guard = Guard(100, lambda: ask_to_mute(path), monotonic_ns=lambda: 0)
    try:
        guard.heard(0, silent_by_ns=None)
        assert guard.check(200, alive=True) is RfState.ON
        assert guard.check(300, alive=True) is None
        assert guard.check(200 + RETRY_NS, alive=True) is RfState.OFF
        assert guard.check(200 + 3 * RETRY_NS, alive=True) is None
    finally:
        made.close()


def test_a_ring_that_somebody_has_mapped_is_never_cut_short(tmp_path: Path) -> None:
    """An agent that starts again goes on in the same file; with another size it makes another file."""
    block = np.ones((10, 2), dtype=np.int16)
    agent = SampleRing(tmp_path / "tx", slots=4, slot_samples=64, create=True)
    warden = SampleRing(tmp_path / "tx", slots=4, slot_samples=64, create=False)
    ticket = agent.write(block)
    assert warden.read(ticket) is not None
    again = SampleRing(tmp_path / "tx", slots=4, slot_samples=64, create=True)
    assert warden.read(ticket) is None, "what the agent before had offered is gone"
    assert warden.read(again.write(block)) is not None
    inode = (tmp_path / "tx").stat().st_ino
    SampleRing(tmp_path / "tx", slots=4, slot_samples=1 << 16, create=True)
    assert (tmp_path / "tx").stat().st_ino != inode
    assert warden.read(again.write(block)) is not None, "its pages are still there"


def test_the_warden_needs_none_of_the_node_s_keys(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.config import keyfiles
    from agent.config.settings import load

    layout = laid_out(short(tmp_path_factory))
    config = load(layout.config_of("user-a"))
    chain = keyfiles.load_chain(config.folder / CHAIN)
    write_chain(config.folder / former_chain("00" * 32), chain)
    for name in config.folder.glob("*.key"):
        name.unlink()
    assert not (config.folder / SIGN).exists()
    assert trust_of(config).me.chain == chain


def test_without_apart_the_command_says_what_is_missing(tmp_path_factory: pytest.TempPathFactory) -> None:
    layout = laid_out(short(tmp_path_factory))
    command = [sys.executable, "-m", "agent.cli.main", "warden", "--config", str(layout.config_of("user-a"))]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 1
    assert "[warden] apart is not set" in done.stderr
    assert done.stderr.count("\n") == 1


class Apart:
    """A node in three services: agent, warden, mute helper."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.layout, self.log = laid_out(root), root / "apart.log"
        self.children: list[subprocess.Popen[bytes]] = []
        self.holder = spawn("holder", NODE, self.layout.config_of("holder"), root)
        for name, value in APART.items():
            monkeypatch.setenv(name, value)
        self.helper = self.start("--only-mute")
        self.warden = self.start()
        home = root / "home"
        home.mkdir()
        self.agent = Service(self.layout, home)
        self.air: list[Child] = []

    def begin(self) -> None:
        """Give them air, once they wait for it."""
        assert waited(lambda: self.agent.heard("READY=1"), 80), self.agent.log.read_text()
        self.air.append(start_air(self.layout)[0])

    def start(self, *more: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "agent.cli.main", "warden", "--config", str(self.layout.config_of("user-a"))]
        with self.log.open("ab") as out:
            child = subprocess.Popen(
                [*command, *more],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **FRUGAL, "PYTHONPATH": str(ROOT)},
            )
        self.children.append(child)
        return child

    def close(self) -> None:
        self.agent.close()
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        stop([self.holder, *self.air])


def answers(operator: Path) -> bool:
    try:
        return "state" in ask(operator, {"op": "status"})
    except OperatorError:
        return False


@pytest.fixture
def apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apart]:
    made = Apart(short(tmp_path_factory), monkeypatch)
    try:
        made.begin()
        yield made
    finally:
        made.close()


@pytest.mark.timeout(300)
@pytest.mark.feature("R6")
def test_three_services_transmit_and_any_one_that_is_gone_silences(apart: Apart) -> None:
    air = AirClient(apart.layout.air_endpoint)

    def rf() -> str:
        return str(air.state()["radios"]["user-a"]["rf"])

    run = apart.layout.root / "user-a" / "run"
    try:
        assert waited(lambda: rf() == "on"), apart.log.read_text() + apart.agent.log.read_text()
        assert (run / "link").stat().st_mode & 0o777 == 0o660
        assert (run / "rx").stat().st_mode & 0o777 == 0o660
        assert (run / "operator").stat().st_mode & 0o777 == 0o600
        # The warden hangs: the agent cannot reach the radio, and asks the helper.
        apart.warden.send_signal(signal.SIGSTOP)
        assert waited(lambda: rf() == "off")
        assert waited(lambda: '"warden silent"' in apart.agent.log.read_text())
        apart.warden.kill()
        apart.warden.wait()
        # Another warden takes its place, and the agent never ended.
        apart.warden = apart.start()
        assert waited(lambda: answers(run / "operator"), 80), apart.log.read_text()
        assert apart.agent.process.poll() is None
        # The agent ends: the warden that runs on is silent.
        apart.agent.process.send_signal(signal.SIGTERM)
        assert apart.agent.process.wait(20) == 0
        assert waited(lambda: rf() == "off")
        assert apart.warden.poll() is None
        apart.warden.send_signal(signal.SIGTERM)
        assert apart.warden.wait(20) == 0
    finally:
        air.close()


def test_the_agent_mutes_through_the_helper_and_by_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.config.settings import load

    layout = laid_out(short(tmp_path_factory))
    monkeypatch.setenv("BANDPACT_WARDEN__APART", "true")
    config = load(layout.config_of("user-a"))
    monkeypatch.setattr(type(config.radio), "silence", lambda _section: pytest.fail("its own connection"))
    assert mute_by_own_connection(config) is RfState.UNKNOWN
    made = Helping(config.run_folder / "mute", lambda: RfState.OFF)
    try:
        assert mute_by_own_connection(config) is RfState.OFF
    finally:
        made.close()
