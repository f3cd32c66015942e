"""`bandpact bench cbrs` through real processes: every figure is printed, and none misses its limit.

BANDPACT_CBRS_BATCHES and BANDPACT_CBRS_SUSPENSIONS: how many of each.
"""

import json
import os

import pytest
from typer.testing import CliRunner

from agent.cli.main import app

BATCHES = os.environ.get("BANDPACT_CBRS_BATCHES", "200")
SUSPENSIONS = os.environ.get("BANDPACT_CBRS_SUSPENSIONS", "100")


@pytest.mark.feature("R10")
@pytest.mark.feature("R12")
@pytest.mark.timeout(3600)
def test_batches_a_cores_share_and_suspensions_are_within_their_limits(capsys: pytest.CaptureFixture[str]) -> None:
    done = CliRunner().invoke(app, ["bench", "cbrs", "--batches", BATCHES, "--suspensions", SUSPENSIONS, "--json"])
    assert done.stdout, done.output
    found = json.loads(done.stdout)
    with capsys.disabled():
        print(*("\n" + str(row) for row in found["rows"]))
    assert [row["what"] for row in found["rows"]] == ["batch", "single", "sas suspension to RF off"]
    assert [row["count"] for row in found["rows"]] == [int(BATCHES), int(BATCHES), int(SUSPENSIONS)]
    assert found["met"], found
