"""What the bench of starts says is what was waited, by the clock that the node's own events go by."""

import json
from typing import Any

import pytest

from agent.bench.start import TARGETS, Waits, run
from agent.bench.table.benchrow import BenchVerdict
from agent.bench.table.devicerows import start_rows
from agent.trial.processes import TrialError
from tests.agent.sweep import invoked

pytestmark = pytest.mark.feature("X4")


def test_waits_are_told_by_their_median_and_their_longest() -> None:
    assert Waits((0.3, 0.1, 0.8)).figures() == {"median_s": 0.3, "max_s": 0.8, "count": 3}


def test_a_row_is_missed_by_its_median() -> None:
    found = {"help": Waits((0.2, 0.3, 9.0)).figures(), "ready": Waits((2.1,)).figures(), "targets": TARGETS}
    helped, ready = start_rows(found)
    assert (helped.ours, helped.verdict, helped.note) == (0.3, BenchVerdict.MET, "at most 9, of 3")
    assert (ready.ours, ready.verdict) == (2.1, BenchVerdict.MISSED)


@pytest.mark.realtime
def test_a_node_that_an_operator_starts_is_waited_for() -> None:
    found = run(rounds=1)
    assert found["help"]["count"] == found["ready"]["count"] == 1
    assert 0.01 < found["help"]["median_s"] < found["ready"]["median_s"] < 60
    assert found["met"] == all(found[name]["median_s"] <= TARGETS[f"{name}_s"] for name in ("help", "ready"))


def test_a_node_that_ends_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: Any) -> None:
        raise TrialError("the node did not get ready: holder: no such file")

    monkeypatch.setattr("agent.bench.start.run", fails)
    done = invoked(["bench", "start", "--json"])
    assert done.code == 1
    assert "did not get ready" in done.err
    assert not done.out.strip()


def test_its_json_is_what_the_table_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"help": Waits((0.2,)).figures(), "ready": Waits((1.5,)).figures(), "targets": TARGETS, "met": True}
    monkeypatch.setattr("agent.bench.start.run", lambda **_: found)
    assert json.loads(invoked(["bench", "start", "--json"]).out) == found
    assert "median 1.500 s" in invoked(["bench", "start"]).out
