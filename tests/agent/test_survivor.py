"""The survivor: the radio is silenced when the warden ended or hangs, and only then."""

import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from agent.node import survivor, warden_process
from agent.node.survivor import ALIVE, LAST_WORD, watch
from radio.ports import RfState
from tests.agent.test_plugs import waited

ROOT = Path(__file__).resolve().parents[2]
WARDEN = """
import os, signal, sys
from agent.node.survivor import Survivor
from radio.ports import RfState

def mute():
    with open(sys.argv[2], "a") as told:
        told.write("muted by " + open(f"/proc/{os.getpid()}/comm").read())
    return RfState.OFF

made = Survivor(mute, limit_s=60.0)
made.alive(0)
os.kill(made.pid, signal.SIGTERM)
os.kill(made.pid, signal.SIGHUP)
print(made.pid, flush=True)
sys.stdin.readline()
match sys.argv[1]:
    case "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    case "aborted":
        os.abort()
    case "unsaid":
        made.close()
    case "silent":
        made.rest()
        made.close()
"""
EACH = """
import os, signal
from radio.process import ending_signals, never_paused, stop_on_signals

for one in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(one, signal.SIG_DFL)  # a shell has what runs in the background ignore some of them
names = {signal.Signals(one).name for one in ending_signals() if one < 32}
print(*sorted(names))
for number in ending_signals():
    stop = stop_on_signals()
    os.kill(os.getpid(), number)
    assert stop.is_set(), number
    for one in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(one)):
            signal.signal(one, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
stop = stop_on_signals(but=(signal.SIGINT,))
never_paused()
for name in ("SIGHUP", "SIGINT", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGPIPE", "SIGXFSZ"):
    os.kill(os.getpid(), getattr(signal, name))
assert not stop.is_set()
print(len(ending_signals()), "left")
"""
ENDING = "SIGALRM SIGHUP SIGINT SIGIO SIGPROF SIGPWR SIGQUIT SIGSTKFLT SIGTERM SIGUSR1 SIGUSR2 SIGVTALRM SIGXCPU"


class Mutes:
    """A mute that answers as it is told and counts."""

    def __init__(self, *answers: RfState | Exception) -> None:
        self.answers, self.count = list(answers), 0

    def __call__(self) -> RfState:
        self.count += 1
        answer = self.answers.pop(0) if self.answers else RfState.OFF
        if isinstance(answer, Exception):
            raise answer
        return answer


def told(*words: bytes) -> int:
    """A pipe's end to read, of a warden that said this and ended."""
    reader, writer = os.pipe()
    for word in words:
        os.write(writer, word)
    os.close(writer)
    return reader


@pytest.mark.feature("R7")
def test_a_warden_that_ends_without_its_last_word_is_muted_for_until_that_reads_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(survivor, "RETRY_S", 0.0)
    mutes = Mutes(RfState.UNKNOWN, ValueError("the library is broken"), RfState.ON, RfState.OFF, RfState.ON)
    assert watch(told(ALIVE), mutes)
    assert mutes.count == 4
    assert not watch(told(), Mutes(RfState.ON), last_s=0.0)


def test_a_warden_whose_radio_is_silent_needs_nobody() -> None:
    mutes = Mutes()
    assert watch(told(ALIVE, LAST_WORD), mutes)
    assert mutes.count == 0


@pytest.mark.feature("R7")
def test_a_warden_that_says_nothing_is_muted_for_and_listened_to_again() -> None:
    reader, writer = os.pipe()
    muted = threading.Event()
    ended: list[bool] = []

    def mute() -> RfState:
        muted.set()
        return RfState.OFF

    follows = threading.Thread(target=lambda: ended.append(watch(reader, mute, limit_s=0.01)))
    follows.start()
    assert not muted.is_set(), "muted before the warden ever spoke"
    os.write(writer, ALIVE)
    assert muted.wait(20)
    os.write(writer, LAST_WORD)
    follows.join(20)
    assert ended == [True]


class OddPoll:
    """A poll object that fails so often with an error number of the kernel's own, and then says that there is input."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def register(self, *_: object) -> None:
        pass

    def poll(self, _timeout_ms: float | None = None) -> list[tuple[int, int]]:
        self.failures -= 1
        if self.failures >= 0:
            raise OSError(516, "Unknown error 516")
        return [(0, 1)]


@pytest.mark.feature("R7")
@pytest.mark.parametrize(("failures", "mutes"), [(survivor.FAILURES_MAX - 1, 0), (survivor.FAILURES_MAX, 1)])
def test_a_wait_that_fails_does_not_end_who_silences_last(
    monkeypatch: pytest.MonkeyPatch, failures: int, mutes: int
) -> None:
    """It ended, and nobody was told; where nobody can tell whether the warden lives, the radio is muted."""
    monkeypatch.setattr(survivor, "select", SimpleNamespace(poll=lambda: OddPoll(failures), POLLIN=1))
    monkeypatch.setattr(survivor, "REST_S", 0.0)
    mute = Mutes()
    assert watch(told(LAST_WORD), mute)
    assert mute.count == mutes


@pytest.mark.feature("R7")
@pytest.mark.parametrize(("how", "muted"), [("killed", True), ("aborted", True), ("unsaid", True), ("silent", False)])
def test_the_forked_process_outlives_its_warden_and_heeds_no_signal(how: str, muted: bool, tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.touch()
    command = [sys.executable, "-c", WARDEN, how, str(said)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as warden:
        assert warden.stdin is not None
        assert warden.stdout is not None
        pid = int(warden.stdout.readline())
        assert waited(lambda: os.getsid(pid) == pid)
        ended = os.pidfd_open(pid)
        warden.communicate("end\n", timeout=30)
    assert select.select([ended], [], [], 30) == ([ended], [], [])
    os.close(ended)
    assert said.read_text() == (f"muted by {survivor.PROCESS_NAME}\n" if muted else "")


@pytest.mark.feature("R7")
def test_a_warden_tells_its_survivor_only_what_reads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, rests in ((RfState.OFF, 1), (RfState.UNKNOWN, 0), (RfState.ON, 0)):
        made = Mock()
        monkeypatch.setattr(warden_process, "Survivor", lambda _, made=made: made)
        monkeypatch.setattr(warden_process, "_guard", lambda *_, found=found: found)
        assert warden_process.run(Mock(), threading.Event()) is found
        assert (made.rest.call_count, made.close.call_count) == (rests, 1)
    monkeypatch.setattr(warden_process, "_guard", Mock(side_effect=RuntimeError))
    made = Mock()
    monkeypatch.setattr(warden_process, "Survivor", lambda _: made)
    with pytest.raises(RuntimeError):
        warden_process.run(Mock(), threading.Event())
    assert (made.rest.call_count, made.close.call_count) == (0, 1)


def test_every_signal_that_would_end_a_process_ends_it_in_order() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EACH], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == f"{ENDING}\n0 left\n", done.stderr
