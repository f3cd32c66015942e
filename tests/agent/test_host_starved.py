"""A host that gives no process or thread any more (`ulimit -u`): what a node starts anew waits, and nothing ends."""

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from agent.config.settings import load
from agent.node import samples_side
from agent.node.events import EventLog, read_events
from agent.node.samples_side import SamplesSide
from agent.page import pageprocess
from agent.page.pageprocess import PageBeside
from radio.cbrs.door import CbsdDoor
from radio.drivers.bounded import bounded
from radio.drivers.soapy import silencer
from radio.drivers.soapy.silencer import SilencerProcess
from radio.errors import Disconnected, HardwareError
from radio.process import PARENT
from tests.agent.samples.nodes import node_config


def no_process(*_: object, **__: object) -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.feature("R11")
def test_a_host_that_starts_no_process_ends_no_node_whose_program_needs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    path = tmp_path / "node.toml"
    path.write_text(node_config(tmp_path, '[samples]\nsource = "program"\n'))
    events = EventLog(tmp_path, "n")
    with monkeypatch.context() as patched:
        patched.setattr(samples_side.subprocess, "Popen", no_process)
        side = SamplesSide(load(path), path, events)
        for at_ns in range(0, 5 * 10**9, 10**8):
            side.turn(at_ns)
        assert side._process is None
    told = [one for one in read_events(tmp_path) if one["event"] == "samples door not started"]
    assert [one["why"] for one in told] == ["Resource temporarily unavailable"], "once, not each time"
    side.turn(20 * 10**9)
    assert side._process is not None
    side.close()
    events.close()


@pytest.mark.feature("U9")
def test_a_page_that_ended_is_started_again_once_the_host_starts_processes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = PageBeside(nodes=[], folder=tmp_path, port=0)
    started = iter([no_process, no_process, lambda _: Mock(poll=lambda: None)])
    monkeypatch.setattr(pageprocess, "pause_after", lambda *_: 0.0)
    monkeypatch.setattr(PageBeside, "_spawned", lambda self, plan: next(started)(plan))
    beside._process = Mock(poll=lambda: 1)
    waits = iter([False] * 6 + [True])
    beside._ends = Mock(wait=lambda _: next(waits))
    beside._stand_by(tmp_path / "plan")
    assert beside._process.poll() is None
    assert next(started, None) is None


@pytest.mark.feature("U9")
def test_a_page_that_ends_again_and_again_is_waited_for_ever_longer_and_anew_once_it_lived_for_long() -> None:
    waits_s = [0.0]
    for lived_s in (0.2,) * 8:
        waits_s.append(pageprocess.pause_after(waits_s[-1], lived_s))
    assert waits_s[1:] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert pageprocess.pause_after(60.0, 61.0) == 1.0


@pytest.mark.feature("R9")
def test_a_host_that_starts_no_thread_has_a_device_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(Disconnected, match="starts no thread"):
        bounded(lambda: 1, seconds=1.0, what="ip:here")


@pytest.mark.feature("R9")
def test_a_second_handle_without_a_process_is_a_fault_of_the_radio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silencer.subprocess, "Popen", no_process)
    with pytest.raises(HardwareError, match="no process"):
        SilencerProcess("driver=none")


@pytest.mark.feature("R9")
def test_a_second_handle_whose_start_is_broken_off_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def starts(_command: list[str], **given: Any) -> Any:
        begun.append(real([sys.executable, "-c", "import sys; sys.stdin.read()"], **given))
        return begun[0]

    def broken_off(_self: SilencerProcess, _limit_s: float) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(silencer.subprocess, "Popen", starts)
    monkeypatch.setattr(SilencerProcess, "_line", broken_off)
    with pytest.raises(KeyboardInterrupt):
        SilencerProcess("driver=none")
    assert begun[0].returncode == 0
    assert begun[0].stdout is not None
    assert begun[0].stdout.closed


@pytest.mark.feature("R7")
def test_base_stations_are_heard_again_once_the_host_starts_threads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = CbsdDoor(tmp_path / "door", lambda: None, wait_s=0.05)
    begin = threading.Thread.start

    def knock() -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.settimeout(20)
            asking.connect(str(tmp_path / "door"))
            with contextlib.suppress(OSError):
                asking.send(b"x")
                return asking.recv(1 << 16)
            return b""

    try:
        monkeypatch.setattr(threading.Thread, "start", no_thread)
        for _ in range(40):  # more than are heard at once
            assert knock() == b""
        monkeypatch.setattr(threading.Thread, "start", begin)
        assert door._thread.is_alive()
        assert knock() != b""
    finally:
        monkeypatch.undo()
        door.close()


@pytest.mark.feature("R7")
def test_each_process_beside_a_node_is_told_whose_child_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told of a parent that ended before it could ask ends by itself; radio/process.py."""
    started = Mock(return_value=Mock(poll=lambda: None, wait=lambda _: 0))
    (tmp_path / "run").mkdir()
    path = tmp_path / "node.toml"
    path.write_text(node_config(tmp_path, '[samples]\nsource = "program"\n'))
    for module in (samples_side, pageprocess):
        monkeypatch.setattr(module.subprocess, "Popen", started)
    events = EventLog(tmp_path, "n")
    SamplesSide(load(path), path, events).close()
    events.close()
    PageBeside(nodes=[], folder=tmp_path, port=0)._spawned(tmp_path / "plan")
    assert [call.kwargs["env"][PARENT] for call in started.call_args_list] == [str(os.getpid())] * 2
