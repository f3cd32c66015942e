"""The scenario `cbrs` whole: a SAS above, two base stations below two nodes, a suspension and a preemption."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app


@pytest.mark.feature("R12")
@pytest.mark.timeout(600)
def test_no_second_of_rf_outside_either_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    words = ["trial", "--scenario", "cbrs", "--report", str(tmp_path / "report"), "--json", str(out)]
    done = CliRunner().invoke(app, words)
    result = json.loads(out.read_text())
    with capsys.disabled():
        print(f"\n{result['cbrs']}")
    assert done.exit_code in (0, 3), done.output
    assert result["passed"]
    assert result["emissions"]["outside_s"] == 0
    for one in result["cbrs"].values():
        assert one["bursts"] > 50
        assert one["outside_sas"] == 0
    assert 0 < result["cbrs"]["cell-b"]["suspended_to_rf_off_ms"] < 3_000
