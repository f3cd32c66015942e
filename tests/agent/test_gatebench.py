"""The gate's bench, once for each cause, through the Pluto driver: what it reports is the oracle's, of every cause."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.radio.plutobench import needs_libiio

ROOT = Path(__file__).parents[2]


@pytest.mark.feature("R6")
@pytest.mark.feature("R9")
@pytest.mark.timeout(120)
def test_every_cause_is_brought_about_and_ends_in_silence() -> None:
    needs_libiio()
    command = ["bench", "gate", "--radio", "pluto", "--rounds", "1", "--pulls", "0", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    # It ends with 1 when a limit was missed, as on a test machine that does other things too.
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    rows = {row["cause"]: row for row in json.loads(done.stdout)["causes"]}
    assert set(rows) == {"expiry", "revocation", "preemption", "radar", "heartbeat", "reboot", "clock"}
    assert {row["count"] for row in rows.values()} == {1}
    # A stock Pluto radiates when it comes up; that it did, and then did not, is the antenna's word.
    assert rows["reboot"]["came_up_transmitting"] == 1
    assert rows["reboot"]["reasons"] == ["DRIVER"]
    assert all(row["after_cause_ms"]["max"] < 5_000 for row in rows.values())
