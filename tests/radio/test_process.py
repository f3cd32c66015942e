"""Asking a process to stop by signals: no signal, whenever it comes, keeps the process from stopping."""

import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.node import process as node_process
from agent.node import warden_process
from agent.page import process as page_process
from agent.samples import process as samples_process
from agent.service import service
from radio import process
from radio.process import PARENT, SignalEvent, child_environment

ROOT = Path(__file__).resolve().parents[2]
STORM = """
import signal, sys
from radio.process import stop_on_signals

stop, left = stop_on_signals(), 300

def at_each_line(frame, what, arg):
    global left
    if left:
        left -= 1
        signal.raise_signal(signal.SIGTERM)  # its handler runs at once, within whatever the main thread holds
    return at_each_line

sys.settrace(at_each_line)
stop.set() if sys.argv[1] == "set" else stop.wait(5.0)
sys.settrace(None)
assert stop.is_set() and left < 300
print("stopped")
"""


@pytest.mark.feature("R7")
@pytest.mark.parametrize("what", ["set", "wait"])
def test_a_signal_at_any_line_of_waiting_or_setting_stops_the_process(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORM, what], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == "stopped\n", done.stderr


def test_the_event_wakes_every_thread_and_stays_set() -> None:
    event, woken = SignalEvent(), list[bool]()
    assert not event.is_set()
    assert event.wait(0) is False
    waiting = [threading.Thread(target=lambda: woken.append(event.wait(30))) for _ in range(3)]
    for one in waiting:
        one.start()
    event.set()
    event.set()
    for one in waiting:
        one.join(30)
    assert woken == [True] * 3
    assert event.wait() is True
    with pytest.raises(RuntimeError, match="not taken back"):
        event.clear()


@pytest.mark.feature("E1")
def test_a_wait_for_a_stop_that_fails_is_waited_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a debugger was attached the kernel's own error number came through, and ended the process."""
    event, polls = SignalEvent(), list[float | None]()
    at_s = [100.0]

    def poll(timeout_ms: float | None = None) -> list[tuple[int, int]]:
        polls.append(timeout_ms)
        at_s[0] += 1.0
        if len(polls) == 3:
            event.set()
        raise OSError(516, "Unknown error 516")

    odd = SimpleNamespace(poll=lambda: SimpleNamespace(register=lambda *_: None, poll=poll), POLLIN=1)
    monkeypatch.setattr(process, "select", odd)
    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: at_s[0], sleep=lambda _: None))
    assert event.wait(1.5) is False
    assert polls == [1500.0, 500.0], "no longer than it was to wait"
    assert event.wait() is True
    assert polls[2:] == [None]


ORPHAN = """
import os
from radio.process import PARENT, OrphanedAtBirth, die_with_parent
try:
    die_with_parent()
except OrphanedAtBirth:
    print("orphaned", flush=True)
else:
    print("not orphaned", PARENT in os.environ, flush=True)
"""


@pytest.mark.feature("R7")
@pytest.mark.parametrize(
    ("parent", "said"), [(None, "not orphaned False"), ("1", "orphaned"), ("x", "not orphaned False")]
)
def test_a_child_whose_parent_ended_before_it_could_ask_ends_too(parent: str | None, said: str) -> None:
    """A node that failed as it started left a warden that nobody ended, and that kept the next one out."""
    environment = child_environment()
    assert environment[PARENT] == str(os.getpid())
    environment = environment if parent is None else {**environment, PARENT: parent}
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == f"{said}\n", done.stderr


PARENT_OF_ONE = """
import subprocess, sys, time
from radio.process import child_environment
CHILD = "import time, radio.process as p; p.die_with_parent(); print('asked', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", CHILD], env=child_environment(), stdout=subprocess.PIPE)
assert child.stdout.readline() == b"asked\\n"
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.feature("R7")
def test_a_child_ends_with_its_parent_however_that_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT_OF_ONE], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    ended, _, _ = select.select([child], [], [], 20)
    os.close(child)
    assert ended


@pytest.mark.feature("R7")
@pytest.mark.parametrize("module", ["agent.node.warden_process", "agent.page.process", "agent.samples.process"])
def test_each_process_of_a_node_asks_to_end_with_the_node(module: str, tmp_path: Path) -> None:
    """Its parent is another than the one that it is told of: gone. It ends before it reads what it is to do."""
    done = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path / "nothing")],
        env={**os.environ, PARENT: "1", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


class Asked(Exception):
    """One heap was asked for."""


@pytest.mark.feature("R9")
@pytest.mark.parametrize(
    "begin",
    [
        lambda: node_process.main(["none"]),
        lambda: page_process.main(["none"]),
        lambda: samples_process.main(["none"]),
        lambda: warden_process.main(["none"]),
        lambda: service.run_node(cast("Any", None), service.ServedBeside(), lambda _: None),
    ],
    ids=["node", "page", "samples", "warden", "run"],
)
def test_each_process_of_a_node_asks_for_one_heap_first_of_all(
    begin: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> None:
        raise Asked

    for module in (node_process, page_process, samples_process, warden_process, service):
        monkeypatch.setattr(module, "one_heap", asked)
    with pytest.raises(Asked):
        begin()


HEAPS = """
import ctypes, sys, threading
from pathlib import Path
from radio.process import one_heap

if sys.argv[2] == "one heap":
    one_heap()
libc, meet = ctypes.CDLL(None), threading.Barrier(5)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p

def taking():
    meet.wait()
    libc.malloc(1000)
    meet.wait()

for _ in range(4):
    threading.Thread(target=taking).start()
meet.wait(), meet.wait()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file), libc.fclose(file)
print(Path(sys.argv[1]).read_text().count("<heap nr="))
"""


@pytest.mark.feature("R9")
def test_threads_take_memory_from_one_heap(tmp_path: Path) -> None:
    found = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", HEAPS, str(tmp_path / "heaps.xml"), how],
                cwd=ROOT, capture_output=True, text=True, check=True,
            ).stdout
        )
        for how in ("one heap", "as it is")
    }  # fmt: skip
    assert found["one heap"] == 1 < found["as it is"]
