"""Leases that change hands in the virtual neighbourhood: no seed breaks an invariant, a broken program is caught."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from sim.world.plan import NS, Act, Plan, handing_plan, plan
from sim.world.run import run_plan
from sim.world.shrink import with_acts
from tests.sim.world import broken

pytestmark = pytest.mark.feature("M10")
SEEDS = int(os.environ.get("HANDING_SEEDS", "40"))
HAPPENED = ("handed on sublease", "handed on transfer", "own vacated", "own consent", "own reclaim")


@pytest.mark.timeout(600)
def test_no_seed_in_which_leases_change_hands_breaks_an_invariant() -> None:
    counts: Counter[str] = Counter()
    for seed in range(SEEDS):
        plan_ = handing_plan(seed)
        outcome = run_plan(_given_back(plan_) if seed % 4 == 3 else plan_)
        assert not outcome.breaches, f"seed {seed}: {outcome.breaches[0]}"
        counts += outcome.counts
    assert [what for what in HAPPENED if not counts[what]] == []
    assert counts["own vacated"] > SEEDS // 3
    assert counts["asked I19"] > SEEDS
    assert counts["asked I20"] > SEEDS


def _as_is(plan_: Plan) -> Plan:
    return plan_


def _asked_for(plan_: Plan) -> Plan:
    """Consent is asked for, and nobody is there to give it: the holder is down most of the time."""
    rng = Random(plan_.seed)
    down = [Act(at_ns=rng.randrange(NS // 2, 8 * NS), what="crash", who="hall", number=n) for n in range(12)]
    return replace(plan_, handing=2, acts=tuple(sorted((*plan_.acts, *down), key=lambda act: act.at_ns)))


def _given_back(plan_: Plan) -> Plan:
    """Whoever has a lease gives it back before long: every fourth run of the test is one."""
    rng = Random(plan_.seed)
    users = [role.name for role in plan_.users]
    back = [
        Act(at_ns=rng.randrange(NS, 8 * NS), what="relinquish", who=rng.choice(users), number=rng.getrandbits(32))
        for _ in range(10)
    ]
    return replace(plan_, handing=1, acts=tuple(sorted((*plan_.acts, *back), key=lambda act: act.at_ns)))


def _revoked(_plan: Plan) -> Plan:
    """Ada hands its lease on and is revoked between mill's ACCEPT and its own CONFIRM."""
    return with_acts(plan(50037), (0, 1, 6, 9, 10), calm=True)


def _put_back(_plan: Plan) -> Plan:
    """Mill has handed its lease on, and starts on a copy of its log from before that."""
    return with_acts(plan(62201), (0, 1, 7, 10, 13, 16, 19), calm=False)


BROKEN: list[tuple[broken.Break, set[str], Callable[[Plan], Plan], range]] = [
    (broken.confirm_before_silence, {"I19", "I2", "S7"}, _as_is, range(10)),
    (broken.go_on_in_what_is_handed_on, {"I17", "I20"}, _as_is, range(10)),
    (broken.confirm_without_consent, {"I19"}, _asked_for, range(20)),
    (broken.hand_on_more_than_there_is, {"I7", "I19"}, _as_is, range(10, 20)),
    (broken.lease_longer_than_the_lease_above, {"I19"}, _as_is, range(10)),
    (broken.wait_for_ever, {"S7"}, _revoked, range(1)),
    (broken.keep_what_nobody_accepts, {"S7"}, _as_is, range(30)),
    (broken.open_on_an_unproven_log, {"I17", "I20"}, _put_back, range(1)),
    (broken.take_back_at_once, {"I17", "I20"}, _given_back, range(20)),
]


@pytest.mark.parametrize("change", [_asked_for, _given_back])
def test_the_harder_plans_break_nothing_by_themselves(change: Callable[[Plan], Plan]) -> None:
    for seed in range(3):
        breaches = run_plan(change(handing_plan(seed))).breaches
        assert not breaches, f"seed {seed}: {breaches[0]}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("breaking", "by", "change", "seeds"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_a_broken_program_is_caught(
    breaking: broken.Break,
    by: set[str],
    change: Callable[[Plan], Plan],
    seeds: range,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = breaking(monkeypatch)
    for seed in seeds:
        breaches = run_plan(change(handing_plan(seed)), world=world).breaches
        if breaches:
            assert breaches[0].invariant in by, str(breaches[0])
            return
    pytest.fail(f"not caught within {len(seeds)} seeds")


def test_a_next_user_does_not_wait_for_a_user_whose_credential_was_revoked() -> None:
    """Seed 50037, made small: ada hands its lease on and is revoked between mill's ACCEPT and its own CONFIRM."""
    outcome = run_plan(_revoked(plan(0)))
    assert not outcome.breaches, str(outcome.breaches[0])
    assert outcome.counts["own accept"] == 2
    assert outcome.counts["refused REVOKED"] >= 1, "ada's ABORT came after mill knew that ada is revoked"


def test_an_older_log_that_is_put_back_opens_no_radio_before_the_neighbours_have_spoken() -> None:
    """Seed 62201, made small: mill has handed its lease on, and starts on a copy of its log from before that."""
    outcome = run_plan(_put_back(plan(0)))
    assert not outcome.breaches, str(outcome.breaches[0])
    assert outcome.counts["restored"] == 1
    assert outcome.counts["own vacated"] == 1


def test_a_consent_may_come_until_confirm_by() -> None:
    """Seed 60356, made small: the CONSENT to ada's HANDOVER comes after `accept_by`, and ada confirms in time."""
    outcome = run_plan(with_acts(plan(60356), (0, 1, 2, 3, 4, 8, 10, 12, 13, 14, 15), calm=False))
    assert not outcome.breaches, str(outcome.breaches[0])
    assert outcome.counts["own consent"] == 2
    assert outcome.counts["own confirm"] == 5


def test_a_node_does_not_come_up_beside_its_last_warden() -> None:
    """Seed 91683, made small: hall dies on a full disk while it radiates, and hands its lease on 80 ms later."""
    outcome = run_plan(with_acts(plan(91683), (0, 1, 2, 6, 8, 9, 12, 13, 14, 15), calm=True))
    assert not outcome.breaches, str(outcome.breaches[0])
    assert outcome.counts["crash"] + outcome.counts["died in a step"] >= 1
    assert outcome.counts["own vacated"] >= 1
