"""A base station that does not obey, through real processes: its node hears it, says so, and gives it nothing more."""

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app

SCENARIO = Path(__file__).resolve().parents[2] / "sim" / "scenarios" / "cbrs.toml"


@pytest.mark.feature("R12")
@pytest.mark.timeout(600)
def test_a_base_station_that_goes_on_is_heard_put_on_record_and_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, out, report = tmp_path / "deaf.toml", tmp_path / "out.json", tmp_path / "report"
    scenario.write_text(SCENARIO.read_text().replace('name = "cell-b"', 'name = "cell-b"\ndeaf = true'))
    CliRunner().invoke(app, ["trial", "--scenario", str(scenario), "--report", str(report), "--json", str(out)])
    cbrs = json.loads(out.read_text())["cbrs"]
    with capsys.disabled():
        print(f"\n{cbrs}")
    assert "still on" in [one["verdict"] for one in cbrs["cell-b"]["by_ear"]]
    assert "still on" not in [one["verdict"] for one in cbrs["cell-a"]["by_ear"]]
    db = sqlite3.connect(f"file:{report / 'user-b.db'}?mode=ro", uri=True)
    bodies = [bytes(body) for (body,) in db.execute("SELECT body FROM leaf WHERE typ='envelope' AND admitted=1")]
    db.close()
    assert any(b"HEARD_AFTER_END" in body and b"cbsd:bandpact1/cell-b" in body for body in bodies)
