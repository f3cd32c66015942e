"""Seeds of the virtual neighbourhood: none breaks an invariant, each replays exactly, and broken programs are caught."""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path

import pytest

from sim.world.many import run_seeds
from sim.world.plan import Plan, plan
from sim.world.run import simulate
from tests.sim.world import broken

ROOT = Path(__file__).resolve().parents[3]
SEEDS = 300
HAPPENED = (
    "own confirm",
    "own abort",
    "own renew",
    "own preempt",
    "own relinquish",
    "own usage",
    "own evidence",
    "own cosignature",
    "emissions",
    "displaced",
    "restored",
    "halted behind witness",
    "crash",
    "died in a step",
    "died before sending",
    "lost",
    "copied",
    "late",
    "refused CONFLICT",
    "refused BUDGET",
    "refused REPLAY",
    "refused REVOKED",
    "refused EQUIVOCATION",
    "refused TIME_UNTRUSTED",
    "refused TIMEOUT",
    "refused INCUMBENT",
    "refused STALE",
)


@pytest.mark.feature("S7")
@pytest.mark.feature("S10")
@pytest.mark.attack(47)
@pytest.mark.timeout(400)
def test_no_seed_breaks_an_invariant() -> None:
    tally = run_seeds(0, SEEDS, jobs=os.cpu_count() or 1)
    assert not tally.broken, tally.report()
    assert tally.seeds == SEEDS
    assert [what for what in HAPPENED if not tally.counts[what]] == []
    assert tally.counts["own confirm"] > SEEDS


@pytest.mark.parametrize("seed", [3, 17])
def test_a_seed_replays_exactly(seed: int) -> None:
    """In another process as well, whatever its hash seed."""
    here = simulate(seed).trace
    assert simulate(seed).trace == here
    command = [sys.executable, "-m", "sim.world", "--seed", str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    said = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert here in said.stdout


def test_seeds_differ() -> None:
    assert simulate(3).trace != simulate(4).trace


Fits = Callable[[Plan], bool]


def _any(plan_: Plan) -> bool:
    return True


def _late(plan_: Plan) -> bool:
    return plan_.weather.late_ppt >= 40


def _with(*whats: str) -> Fits:
    return lambda plan_: set(whats) <= {act.what for act in plan_.acts}


# How it is broken, which invariants may notice first, which plans give it a chance, and within how many of those.
BROKEN: list[tuple[broken.Break, set[str], Fits, int]] = [
    (broken.send_before_durable, {"I4"}, _any, 3),
    (broken.skip_accept_by, {"I3", "I13"}, _late, 80),
    (broken.reuse_fence, {"I6"}, _any, 20),
    (broken.forget_on_restart, {"I1", "I11", "S7"}, _with("crash"), 20),
    (broken.take_stale_renew, {"I6"}, _late, 80),
    (broken.sign_twice, {"I2", "I5"}, _late, 20),
    (broken.free_at_once, {"I1", "I17"}, _with("preempt", "relinquish"), 80),
    (broken.ignore_the_window, {"I17"}, _any, 10),
    (broken.weak_preempts_strong, {"I16"}, _with("preempt"), 80),
    (broken.decide_by_any_clock, {"I11", "I12"}, _with("clock wide"), 40),
    (broken.spend_without_counting, {"I8"}, lambda plan_: plan_.budget_hz_s == 15_000_000, 40),
]


@pytest.mark.feature("S7")
@pytest.mark.parametrize(("breaking", "by", "fits", "within"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_a_broken_program_is_caught(
    breaking: broken.Break, by: set[str], fits: Fits, within: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = breaking(monkeypatch)
    for seed in islice((s for s in count() if fits(plan(s))), within):
        breaches = simulate(seed, world=world).breaches
        if breaches:
            assert breaches[0].invariant in by, str(breaches[0])
            return
    pytest.fail(f"not caught within {within} seeds")
