"""Seeds of the virtual neighbourhood: none breaks an invariant, each replays exactly, a broken program is caught."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from sim.world import run
from sim.world.many import run_seeds
from sim.world.plan import NS, Act, Plan, Weather, plan
from sim.world.run import run_plan, simulate
from tests.sim.world import broken

ROOT = Path(__file__).resolve().parents[3]
SEEDS = 300
ASKED_MIN = 10
HAPPENED = (
    "own confirm",
    "own abort",
    "own renew",
    "own preempt",
    "own suspend",
    "own resume",
    "own coordination",
    "own relinquish",
    "own usage",
    "own evidence",
    "own envelope",
    "own cosignature",
    "own handover",
    "own consent",
    "own vacated",
    "own reclaim",
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
    "refused ENVELOPE",
    "refused CONFIDENCE",
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
    seldom = [f"I{n}" for n in range(1, 21) if tally.counts[f"asked I{n}"] < ASKED_MIN]
    assert not seldom, "hardly ever asked"


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


Change = Callable[[Plan], Plan]


def _as_is(plan_: Plan) -> Plan:
    return plan_


def _late(plan_: Plan) -> Plan:
    """Most messages come late, by up to two seconds."""
    slow = Weather(drop_ppt=0, duplicate_ppt=0, late_ppt=500, delay_ns_max=20_000_000, late_ns_max=2 * NS)
    return replace(_crowded(plan_), weather=slow)


def _slow(plan_: Plan) -> Plan:
    """Every message takes up to 1.3 s, each by its own way, so that they overtake one another."""
    slow = Weather(drop_ppt=0, duplicate_ppt=0, late_ppt=0, delay_ns_max=1_300_000_000, late_ns_max=NS)
    return replace(_crowded(plan_), weather=slow)


def _crowded(plan_: Plan) -> Plan:
    """Many more want to transmit, and the holders take back more often."""
    rng = Random(plan_.seed)
    users, holders = [r.name for r in plan_.users], [r.name for r in plan_.holders]
    more = [("request", users)] * 14 + [("preempt", holders)] * 4 + [("clock wide", holders)]
    acts = [
        Act(at_ns=rng.randrange(NS // 4, 8 * NS), what=what, who=rng.choice(who), number=rng.getrandbits(32))
        for what, who in more
    ]
    return replace(plan_, acts=tuple(sorted((*plan_.acts, *acts), key=lambda act: act.at_ns)))


def _poor(plan_: Plan) -> Plan:
    return replace(_crowded(plan_), budget_hz_s=40_000_000)


def _suspending(plan_: Plan) -> Plan:
    return replace(_crowded(plan_), suspends=True)


# How it is broken, which invariants may notice first, what gives it a chance, and within how many seeds.
BROKEN: list[tuple[broken.Break, set[str], Change, int]] = [
    (broken.send_before_durable, {"I4"}, _as_is, 3),
    (broken.skip_accept_by, {"I3", "I13"}, _slow, 20),
    (broken.reuse_fence, {"I6"}, _as_is, 20),
    (broken.forget_on_restart, {"I1", "I11", "S7"}, _crowded, 20),
    (broken.take_stale_renew, {"I6"}, _slow, 60),
    (broken.sign_twice, {"I2", "I5"}, _late, 20),
    (broken.free_at_once, {"I1", "I17"}, _crowded, 20),
    (broken.ignore_the_window, {"I17"}, _as_is, 10),
    (broken.weak_preempts_strong, {"I16"}, _crowded, 20),
    (broken.decide_by_any_clock, {"I11", "I12"}, _crowded, 20),
    (broken.spend_without_counting, {"I8"}, _poor, 20),
    (broken.grant_beyond_the_envelope, {"I18"}, _as_is, 20),
    (broken.go_on_when_suspended, {"I17"}, _suspending, 20),
    (broken.confirm_without_asking, {"I3"}, _as_is, 40),
    (broken.sign_for_anybody, {"I1"}, _crowded, 40),
]


@pytest.mark.parametrize("change", [_late, _slow, _crowded, _poor, _suspending])
def test_the_harder_plans_break_nothing_by_themselves(change: Change) -> None:
    for seed in range(3):
        breaches = run_plan(change(plan(seed))).breaches
        assert not breaches, f"seed {seed}: {breaches[0]}"


@pytest.mark.feature("S7")
@pytest.mark.parametrize(("breaking", "by", "change", "within"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_a_broken_program_is_caught(
    breaking: broken.Break, by: set[str], change: Change, within: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = breaking(monkeypatch)
    for seed in range(within):
        breaches = run_plan(change(plan(seed)), world=world).breaches
        if breaches:
            assert breaches[0].invariant in by, str(breaches[0])
            return
    pytest.fail(f"not caught within {within} seeds")


def test_reading_the_same_bytes_once_changes_nothing_that_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = [simulate(seed, keep_lines=True) for seed in range(4)]
    monkeypatch.setattr(run, "read_once", nullcontext)
    for seed, outcome in enumerate(shared):
        alone = simulate(seed, keep_lines=True)
        assert alone.lines == outcome.lines
        assert alone.counts == outcome.counts
