"""The scenario `cbrs` whole: a SAS above, two base stations below two nodes, a suspension and a preemption."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.trial.cbrsresult import after_preempt, answers, cbrs_problems
from agent.trial.spec import BaseStationPlan, CbrsPlan

LOW, HIGH, NS = 3_550_000_000, 3_560_000_000, 1_000_000_000
PLAN = CbrsPlan(stations=[BaseStationPlan(name="cell-a", node="n", low_hz=LOW, high_hz=HIGH, eirp_dbm=17)])


@pytest.mark.feature("R10")
@pytest.mark.feature("R12")
@pytest.mark.timeout(300)
def test_no_second_of_rf_outside_either_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 s outside; a SAS's 501 and a PREEMPT each end in silence, and the next heartbeat after a PREEMPT is refused."""
    out = tmp_path / "out.json"
    for attempt in range(2):  # on a machine that is too busy to settle, or to ask again in time, nothing was shown
        report = tmp_path / f"report-{attempt}"
        words = ["trial", "--scenario", "cbrs", "--report", str(report), "--json", str(out)]
        done = CliRunner().invoke(app, words)
        result = json.loads(out.read_text())
        asked_again = (result["cbrs"]["cell-a"]["preempted"] or {}).get("next_code")
        if result["settled"] == 2 and asked_again is not None:
            break
    with capsys.disabled():
        print(f"\n{result['cbrs']}")
    assert done.exit_code in (0, 3), done.output
    assert result["passed"]
    assert result["emissions"]["outside_s"] == 0
    for one in result["cbrs"].values():
        assert one["bursts"] > 50
        assert one["outside_sas"] == 0
        assert "still on" not in [heard["verdict"] for heard in one["by_ear"]]
    assert result["cbrs"]["cell-b"]["suspended_to_rf_off_ms"] > 0
    preempted = result["cbrs"]["cell-a"]["preempted"]
    assert preempted["next_code"] in (500, 501)


@pytest.mark.feature("R12")
def test_the_next_answer_after_a_preempt_is_found_in_the_base_stations_log(tmp_path: Path) -> None:
    lines = [
        '100.000 grant {"response": {"responseCode": 0}}',
        '100.500 heartbeat {"response": {"responseCode": 0}, "heartbeatInterval": 1}',
        "100.600 no answer: TimeoutError",
        '101.200 heartbeat {"response": {"responseCode": 500}}',
    ]
    (tmp_path / "cell-a.log").write_text("\n".join(lines) + "\n")
    assert [one.code for one in answers(tmp_path / "cell-a.log")] == [0, 500]
    events = {"n": [{"event": "displaced", "mono_ns": 100_700_000_000 - 7 * NS}]}
    shown = after_preempt(PLAN, events, tmp_path, 7 * NS)["cell-a"]
    assert shown == {"next_code": 500, "next_ms": 500.0, "heartbeat_ms": 1000}
    early = after_preempt(PLAN, {"n": [{"event": "displaced", "mono_ns": 93 * NS}]}, tmp_path, 7 * NS)["cell-a"]
    assert early["next_code"] == 0
    one = {"outside_sas": 0, "outside_sas_s": 0, "bursts": 3}
    assert cbrs_problems({"cell-a": {**one, "preempted": shown}}) == []
    assert cbrs_problems({"cell-a": {**one, "preempted": early}})
    assert after_preempt(PLAN, {}, tmp_path, 0) == {}
