"""Tests of the certification suite: the product's client passes, and each kind of violation is detected."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.trial.winnf.cases import SCENES
from agent.trial.winnf.rig import CbsdRig
from radio.cbrs import grant, session, table
from radio.cbrs.codes import Code
from radio.cbrs.grant import SasGrant
from radio.cbrs.table import CbsdEvent, State

pytestmark = pytest.mark.feature("R10")


def test_no_question_fails(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["trial", "--suite", "winnf", "--json", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["passed"]
    assert result["counts"]["pass"] >= 70
    assert result["slowest_stop_ms"] < 100
    reasons = [case["reason"] for case in result["cases"] if case["verdict"] == "not applicable"]
    assert reasons
    assert all(reasons)


def test_the_suites_figures_are_printed_as_json_where_no_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    result = {"suite": "winnf", "passed": True, "counts": {"pass": 1}, "cases": []}
    monkeypatch.setattr("agent.trial.winnf.suite.run_suite", lambda: result)
    done = CliRunner().invoke(app, ["trial", "--suite", "winnf", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == result


def holds(name: str) -> bool:
    (act,) = (scene.act for scene in SCENES if scene.name == name)
    assert act is not None
    return all(asked.holds for asked in act(CbsdRig(count=2)))


def _deaf(code: Code) -> Any:
    return lambda monkey: monkey.setitem(table.HEARTBEAT_EVENTS, code, CbsdEvent.BEAT)


def _relinquishes_late(monkey: pytest.MonkeyPatch) -> None:
    on = (State.AUTHORIZED, State.ENDING)
    monkey.setattr(SasGrant, "rf_until_ns", lambda self, _now: self.expires_ns if self.state in on else None)


def _never_expires(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(session, "aged", lambda held, _now: held)
    monkey.setattr(
        SasGrant, "rf_until_ns", lambda self, _now: self.transmit_until_ns if self.state is State.AUTHORIZED else None
    )


def _null_is_never(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(
        grant, "_times",
        lambda held, _item, now, _most: replace(held.having(CbsdEvent.BEAT), transmit_until_ns=now.latest_ns + 10**13),
    )  # fmt: skip


def _too_early(monkey: pytest.MonkeyPatch) -> None:
    before = session.given

    def given(*args: Any, **named: Any) -> SasGrant | str:
        made = before(*args, **named)
        return made if isinstance(made, str) else replace(made, state=State.AUTHORIZED, transmit_until_ns=2 * 10**18)

    monkey.setattr(session, "given", given)


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (_deaf(Code.SUSPENDED_GRANT), "heartbeat: 501 while it transmits"),
        (_deaf(Code.TERMINATED_GRANT), "heartbeat: 500 while it transmits"),
        (_deaf(Code.DEREGISTER), "heartbeat: 105 while it transmits"),
        (_relinquishes_late, "heartbeat: 502 while it transmits"),
        (_relinquishes_late, "deregistration"),
        (_never_expires, "heartbeat: no answer for good"),
        (_null_is_never, "heartbeat: transmitExpireTime NULL"),
        (_too_early, "heartbeat: 501 at first"),
    ],
)
def test_a_disobedient_client_is_found_out(monkeypatch: pytest.MonkeyPatch, break_it: Any, found: str) -> None:
    assert holds(found)
    break_it(monkeypatch)
    assert not holds(found)
