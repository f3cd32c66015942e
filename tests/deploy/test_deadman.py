"""The Pluto's own dead-man, run unchanged on the simulated one's attribute files; the oracle says what it did."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from radio.drivers.pluto.beats import Beats
from radio.drivers.pluto.layout import PHY
from radio.drivers.pluto.libiio import connect
from radio.drivers.pluto.radio import PlutoRadio, dead_man_of
from tests.radio.plutobench import TX, Bench, bench

pytestmark = [pytest.mark.feature("R7"), pytest.mark.timeout(60)]

SCRIPT = Path(__file__).parents[2] / "deploy" / "pluto" / "deadman.sh"
SHELL = ["busybox", "sh"] if shutil.which("busybox") else ["sh"]
LIMIT_MS = 1000
BEAT_NS = 100_000_000
PATIENCE_NS = 20_000_000_000


@contextmanager
def guarded(folder: Path) -> Iterator[Bench]:
    """A simulated Pluto that comes up transmitting, and the script running on it."""
    with bench(sysfs=folder, keepalive_s=70.0) as made:
        assert made.radiates()
        settings = {"BANDPACT_IIO": str(folder), "BANDPACT_LIMIT_MS": str(LIMIT_MS), "BANDPACT_POLL_S": "0.02"}
        with subprocess.Popen([*SHELL, str(SCRIPT)], env={**os.environ, **settings}) as script:
            try:
                yield made
                assert script.poll() is None, "the script ended by itself"
            finally:
                script.kill()


def patiently(what: str) -> Iterator[None]:
    """Turns to wait in, until there was time enough for it on the busiest machine."""
    end_ns = time.monotonic_ns() + PATIENCE_NS
    while time.monotonic_ns() < end_ns:
        yield
    pytest.fail(f"waited {PATIENCE_NS / 1e9:g} s in vain for {what}")


def until_silent(made: Bench) -> int:
    """Wait for silence; returns when the last emission ended."""
    for _ in patiently("silence"):
        if not made.radiates():
            break
    return max(one.end_ns for one in made.air.emissions())


def until_guarded(radio: PlutoRadio) -> None:
    """Beat until the script answers."""
    next_ns = 0
    for _ in patiently("an answer of the script to any heartbeat"):
        if time.monotonic_ns() >= next_ns:
            next_ns = time.monotonic_ns() + BEAT_NS
            radio.heartbeat()
        threading.Event().wait(BEAT_NS / 5e9)
        if radio.guarded():
            return


def test_it_mutes_at_boot_and_what_never_beats_never_transmits(tmp_path: Path) -> None:
    with guarded(tmp_path) as made:
        until_silent(made)
        context = connect(made.uri, timeout_ms=300)
        phy = context.find_device(PHY)
        phy.find_channel("altvoltage1", True).attrs["powerdown"].value = "0"
        phy.find_channel("voltage0", True).attrs["hardwaregain"].value = "0"
        until_silent(made)


@pytest.mark.feature("R9")
def test_it_lets_a_beating_host_transmit_and_mutes_when_the_beat_stops(tmp_path: Path) -> None:
    with guarded(tmp_path) as made:
        until_silent(made)
        radio = made.radio()
        assert not radio.guarded()
        until_guarded(radio)
        radio.tune_tx(TX)
        end_ns = time.monotonic_ns() + 2 * LIMIT_MS * 1_000_000
        while time.monotonic_ns() < end_ns:
            until_guarded(radio)
        beaten_ns = time.monotonic_ns()
        radio.heartbeat()
        radio.send(np.full((192_000, 2), 3000, dtype=np.int16))
        assert made.radiates()
        silent_ns = until_silent(made)
        assert beaten_ns + (LIMIT_MS - 100) * 1_000_000 < silent_ns


def test_whether_there_is_one_is_known_without_a_node(tmp_path: Path) -> None:
    with guarded(tmp_path) as made:
        until_silent(made)
        assert dead_man_of(made.uri, wait_s=PATIENCE_NS / 1e9)
        assert dead_man_of(made.uri, wait_s=PATIENCE_NS / 1e9)
    with bench(quiet=True) as made:
        assert not dead_man_of(made.uri, wait_s=0.1)


def test_an_answer_counts_while_the_host_beats_on_and_nothing_old_does() -> None:
    beats = Beats()
    first, *_ = [beats.next(at_ns) for at_ns in range(100)]
    assert beats.answered(first, since_ns=0)
    assert beats.answered(str(int(first) + 3), since_ns=0)
    assert not beats.answered(first, since_ns=1)
    assert not beats.answered("", since_ns=0)
    after = Beats(after=first)
    assert first not in [after.next(0) for _ in range(100)]
    assert not after.answered(first, since_ns=0)
