"""The gate's bench, once for each cause, through the Pluto driver: what it reports is the oracle's, of every cause."""

import io

import pytest
from rich.console import Console

from agent.gatebench.bench import run
from tests.radio.plutobench import needs_libiio


@pytest.mark.feature("R6")
@pytest.mark.feature("R9")
@pytest.mark.timeout(120)
def test_every_cause_is_brought_about_and_ends_in_silence() -> None:
    needs_libiio()
    found = run(rounds=1, pulls=0, talk=Console(file=io.StringIO()), radio="pluto")
    rows = {row["cause"]: row for row in found["causes"]}
    assert set(rows) == {"expiry", "revocation", "preemption", "radar", "heartbeat", "reboot", "clock"}
    assert {row["count"] for row in rows.values()} == {1}
    # A stock Pluto radiates when it comes up; that it did, and then did not, is the antenna's word.
    assert rows["reboot"]["came_up_transmitting"] == 1
    assert rows["reboot"]["reasons"] == ["DRIVER"]
