"""What the bench of a whole node says of a process is what that process used."""

import os
import subprocess
import sys
import time

import pytest

from agent.bench.node import TARGETS, ProcessUse, compiler_mb, measured

pytestmark = pytest.mark.feature("R9")


def test_what_the_compiler_holds_is_measured_in_a_process_of_its_own() -> None:
    assert 20 < compiler_mb() < 400


def test_a_process_is_measured_by_what_the_kernel_says_of_it() -> None:
    program = "import time; held = bytearray(b'x') * 50_000_000\nwhile time.process_time() < 30: pass"
    busy = subprocess.Popen([sys.executable, "-c", program])
    try:
        while ProcessUse.of(busy.pid).memory_mb < 50 and busy.poll() is None:
            time.sleep(0.01)
        before, began_s = ProcessUse.of(busy.pid), time.monotonic()
        found = measured({"busy": busy.pid, "idle": os.getpid()}, 0.5)
        after, spent_s = ProcessUse.of(busy.pid), time.monotonic() - began_s
    finally:
        busy.kill()
        busy.wait()
    share = (after.cpu_s - before.cpu_s) / spent_s
    assert found["busy"]["cpu_share"] <= share * spent_s / 0.5 + 0.05
    assert found["busy"]["memory_mb"] > 50
    assert set(found["idle"]) - {"loop_share"} == set(TARGETS["agent"]) == set(TARGETS["warden"])
    assert found["busy"]["loop_share"] == found["busy"]["cpu_share"], "it has one thread"


def test_what_other_threads_use_is_not_the_loops() -> None:
    program = (
        "import threading, time\n"
        "def spin():\n    while time.thread_time() < 30: pass\n"
        "threading.Thread(target=spin, daemon=True).start()\nprint('on', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        before = ProcessUse.of(busy.pid)
        while ProcessUse.of(busy.pid).cpu_s < before.cpu_s + 0.1:
            time.sleep(0.01)
        after = ProcessUse.of(busy.pid)
        busy.kill()
    assert after.loop_s - before.loop_s < 0.5 * (after.cpu_s - before.cpu_s)
