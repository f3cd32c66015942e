"""The Pluto's own dead-man, run unchanged on the simulated one's attribute files; the oracle says what it did."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from radio.drivers.libiio import connect
from radio.drivers.plutomap import PHY
from tests.radio.plutobench import TX, Bench, bench

pytestmark = [pytest.mark.feature("R7"), pytest.mark.timeout(60)]

SCRIPT = Path(__file__).parents[2] / "deploy" / "pluto" / "deadman.sh"
SHELL = ["busybox", "sh"] if shutil.which("busybox") else ["sh"]
LIMIT_MS = 400


@contextmanager
def guarded(folder: Path) -> Iterator[Bench]:
    """A simulated Pluto that comes up transmitting, and the script running on it."""
    with bench(sysfs=folder, keepalive_s=70.0) as made:
        assert made.radiates()
        settings = {"BANDPACT_IIO": str(folder), "BANDPACT_LIMIT_MS": str(LIMIT_MS), "BANDPACT_POLL_S": "0.02"}
        with subprocess.Popen([*SHELL, str(SCRIPT)], env={**os.environ, **settings}) as script:
            try:
                yield made
            finally:
                script.kill()


def until_silent(made: Bench) -> int:
    """Wait for silence; returns when the last emission ended."""
    while made.radiates():
        pass
    return max(one.end_ns for one in made.air.emissions())


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
        while not radio.guarded():
            radio.heartbeat()
        radio.tune_tx(TX)
        end_ns = time.monotonic_ns() + 3 * LIMIT_MS * 1_000_000
        while time.monotonic_ns() < end_ns:
            radio.heartbeat()
        beaten_ns = time.monotonic_ns()
        radio.send(np.full((192_000, 2), 3000, dtype=np.int16))
        assert made.radiates()
        silent_ns = until_silent(made)
        assert beaten_ns + (LIMIT_MS - 100) * 1_000_000 < silent_ns
