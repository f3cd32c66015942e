"""Seeds of the virtual neighbourhood: none breaks an invariant, each replays exactly, and broken programs are caught."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.world.many import run_seeds
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


BROKEN = [
    (broken.send_before_durable, {"I4"}, 3),
    (broken.skip_accept_by, {"I3", "I13"}, 600),
    (broken.reuse_fence, {"I6"}, 60),
    (broken.forget_on_restart, {"I1", "I11", "S7"}, 60),
    (broken.take_stale_renew, {"I6"}, 600),
    (broken.sign_twice, {"I2", "I5"}, 100),
    (broken.free_at_once, {"I1", "I17"}, 600),
    (broken.ignore_the_lease, {"I17"}, 60),
    (broken.weak_preempts_strong, {"I16"}, 200),
    (broken.decide_by_any_clock, {"I11", "I12"}, 60),
    (broken.spend_without_counting, {"I8"}, 200),
]


@pytest.mark.feature("S7")
@pytest.mark.parametrize(("breaking", "by", "within"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_a_broken_program_is_caught(
    breaking: broken.Break, by: set[str], within: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = breaking(monkeypatch)
    for seed in range(within):
        breaches = simulate(seed, world=world).breaches
        if breaches:
            assert breaches[0].invariant in by, str(breaches[0])
            return
    pytest.fail(f"not caught within {within} seeds")
