"""Tests of restart delays: long for a process that keeps failing, short for one that ran long."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.cbrs import assembly
from agent.cbrs.assembly import WardenCbrs
from agent.node import samples_side
from agent.node.events import EventLog, read_events
from agent.node.samples_side import SamplesSide
from radio.cbrs.above import SasAbove
from radio.restarts import FIRST_S, MOST_S, Restarts

pytestmark = pytest.mark.feature("E1")
HOUR_S = 3600.0
NS = 1_000_000_000


def starts_in_an_hour(turn: Callable[[float], bool]) -> list[float]:
    """When it was started, of a loop that turns four times a second."""
    return [at / 4 for at in range(round(4 * HOUR_S)) if turn(at / 4)]


def seldom(starts_s: list[float]) -> bool:
    return 2 <= len(starts_s) <= HOUR_S / MOST_S + 10


def test_pauses_grow_while_a_process_does_not_live_and_are_short_again_after_it_did() -> None:
    one = Restarts()

    def turn(now_s: float) -> bool:
        if not one.due(now_s):
            return False
        one.begun(now_s)
        return True

    starts = starts_in_an_hour(turn)
    assert seldom(starts)
    assert starts[0] == FIRST_S
    assert starts[-1] - starts[-2] >= MOST_S
    one.begun(HOUR_S)
    lived_s = HOUR_S + 2 * MOST_S
    assert not one.due(lived_s)
    assert one.due(lived_s + FIRST_S)


def test_a_samples_door_that_cannot_open_is_started_and_told_of_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port is taken, say: it was started each second, half a core and a line of the log each time."""
    config = SimpleNamespace(folder=tmp_path, run_folder=tmp_path)
    monkeypatch.setattr(samples_side, "door_plan", lambda _: SimpleNamespace())
    monkeypatch.setattr(samples_side, "rings_of", lambda *_, **__: (None, None))
    ended = SimpleNamespace(poll=lambda: 1, returncode=1)
    monkeypatch.setattr(SamplesSide, "_started", lambda _: ended)
    events = EventLog(tmp_path, "n")
    side = SamplesSide(cast("Any", config), tmp_path, events)

    def turn(now_s: float) -> bool:
        before = side._starts
        side.turn(round(now_s * NS))
        return side._starts > before

    assert seldom(starts_in_an_hour(turn))
    events.close()
    assert len(read_events(tmp_path)) <= HOUR_S / MOST_S + 10


@pytest.mark.parametrize("no_process", [False, True])
def test_a_client_towards_the_sas_that_does_not_live_is_started_seldom_and_keeps_no_turn_of_the_gate_waiting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_process: bool
) -> None:
    now_s, tried, ended = [0.0], list[float](), list[str]()

    class Child:
        def kill(self) -> None:
            ended.append("killed")

        def wait(self, timeout: float | None = None) -> int:
            assert timeout is None, "one that was killed has ended"
            assert ended.pop() == "killed", "the gate's loop waited for a process that takes its time"
            return 0

    def client(_: Path) -> Any:
        tried.append(now_s[0])
        if no_process:
            raise OSError(11, "no process is to be had")
        return None, Child()

    monkeypatch.setattr(assembly, "_client", client)
    monkeypatch.setattr(assembly.time, "monotonic", lambda: now_s[0])
    above = cast("SasAbove", SimpleNamespace(lost=True, renew=lambda _: None))
    one = WardenCbrs(desk=None, above=above, calendar=None, effective=Path("none"))

    def turn(at_s: float) -> bool:
        now_s[0], before = at_s, len(tried)
        one.turn()
        return len(tried) > before

    assert seldom(starts_in_an_hour(turn))
    why = "warden: no client towards the SAS can be started: no process is to be had; tried again\n"
    assert capsys.readouterr().err == (why if no_process else ""), "once, not each time"
