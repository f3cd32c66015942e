"""A failing run is made small: a few acts that break the same invariant, and the command that runs them again."""

import subprocess
import sys
from pathlib import Path

import pytest

from sim.world import shrink
from sim.world.plan import plan
from sim.world.run import run_plan
from sim.world.shrink import shrunk, with_acts
from tests.sim.world import broken
from tests.sim.world.test_world import Change, _as_is, _crowded

pytestmark = pytest.mark.feature("S7")
ROOT = Path(__file__).resolve().parents[3]
ACTS_MAX = 20


@pytest.mark.parametrize(
    ("break_it", "change"),
    [
        (broken.ignore_the_window, _as_is),
        (broken.forget_on_restart, _crowded),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_failing_seed_comes_down_to_a_few_acts_that_still_fail(
    monkeypatch: pytest.MonkeyPatch, break_it: broken.Break, change: Change
) -> None:
    world = break_it(monkeypatch)
    failing = next(made for made in (change(plan(seed)) for seed in range(60)) if run_plan(made, world=world).breaches)
    small = shrunk(failing, world=world, runs_max=60)
    assert small is not None
    assert len(small.plan.acts) <= ACTS_MAX
    assert len(small.plan.acts) < len(failing.acts)
    again = run_plan(with_acts(failing, small.kept, calm=small.calm), world=world)
    assert again.breaches[0].invariant == small.breach.invariant
    first = run_plan(failing, world=world).breaches[0]
    assert small.breach.invariant == first.invariant


def test_a_seed_that_holds_has_nothing_to_shrink() -> None:
    assert shrunk(plan(3)) is None


def test_no_act_that_is_left_can_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = broken.ignore_the_window(monkeypatch)
    failing = next(made for made in map(plan, range(20)) if run_plan(made, world=world).breaches)
    small = shrunk(failing, world=world)
    assert small is not None
    assert small.runs < shrink.RUNS_MAX
    for left_out in small.kept:
        fewer = tuple(one for one in small.kept if one != left_out)
        found = run_plan(with_acts(failing, fewer), world=world).breaches
        assert not found or found[0].invariant != small.breach.invariant


def test_some_acts_of_a_seed_are_run_by_the_command() -> None:
    command = [sys.executable, "-m", "sim.world", "--seed", "3", "--acts", "0,1", "--calm", "--trace"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "every invariant holds" in done.stdout
    wrong = subprocess.run(
        [*command[:5], "--acts", "0,999"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert wrong.returncode == 2
    assert "999" in wrong.stderr
