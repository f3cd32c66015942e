"""Seeds in which a group decides: nothing breaks, and a program broken on purpose is caught by what it breaks."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from settlement.audit import invoice as invoicing
from settlement.party import assembly, won
from settlement.quorum.decided import GroupDecisions
from settlement.records.conduct import approval, auction, decided, grant, market
from settlement.records.quorum import GroupOutcome
from sim.world import grouplaw as law
from sim.world.groups import simulate_group

SEEDS = 40
HAPPENED = ("own bid", "own reveal", "own tally", "own outcome", "own ballot", "own confirm", "crash", "lost", "copied")
Break = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.feature("S9")
@pytest.mark.timeout(400)
def test_no_seed_in_which_a_group_decides_breaks_an_invariant() -> None:
    counts: Counter[str] = Counter()
    for seed in range(SEEDS):
        outcome = simulate_group(seed)
        assert not outcome.breaches, f"{outcome.breaches[0]}; replay: python -m sim.world.groups --seed {seed} --trace"
        counts += outcome.counts
    assert [what for what in HAPPENED if not counts[what]] == []
    assert counts["asked Q1"] > 100
    assert counts["asked Q2"] > 2, "auctions end in GRANTs"
    assert counts["asked Q4"] > 20, "REQUESTs are approved and granted"


def vote_again(patch: pytest.MonkeyPatch) -> None:
    """A member forgets its vote as soon as it has cast it."""
    patch.setattr(assembly, "take_vote", lambda *_: None)


def grant_for_less(patch: pytest.MonkeyPatch) -> None:
    """Holder and winner agree on another price than the one that was certified, and nobody looks."""
    found = won.won_by

    def cheaper(*args: Any) -> Any:
        made = found(*args)
        return None if made is None else (made[0], made[1], made[2] + 1)

    patch.setattr(won, "won_by", cheaper)
    for module in (auction, decided):
        for name in ("judge_award", "judge_decided"):
            if hasattr(module, name):
                patch.setattr(module, name, lambda *_: None)


def forgive_deposits(patch: pytest.MonkeyPatch) -> None:
    """The invoice leaves out who did not show its bid."""

    def none(_found: Mapping[bytes, Any]) -> list[Any]:
        return []

    patch.setattr(invoicing, "lost_deposits", none)


def grant_alone(patch: pytest.MonkeyPatch) -> None:
    """A holder grants without asking, and its user does not look."""
    patch.setattr(market, "judge_approved", lambda _case: None)
    patch.setattr(market, "judge_own", lambda *_: GroupDecisions())
    patch.setattr(grant.decided, "judge_grant", lambda *_: None)


def approve_twice(patch: pytest.MonkeyPatch) -> None:
    """Members of a coalition forget what they approved before."""
    patch.setattr(approval, "_promised", lambda *_: None)
    patch.setattr(approval, "_granted_here", lambda *_: None)
    patch.setattr(market, "judge_promised", lambda *_: None)


@pytest.mark.feature("S9")
@pytest.mark.parametrize(
    ("broken", "invariant", "first"),
    [
        (vote_again, "Q1", 0),
        (grant_for_less, "Q2", 0),
        (forgive_deposits, "Q3", 0),
        (grant_alone, "Q4", 1),
        (approve_twice, "I1", 2),
    ],
)
def test_a_program_broken_on_purpose_is_caught(
    monkeypatch: pytest.MonkeyPatch, broken: Break, invariant: str, first: int
) -> None:
    """Seeds of the kind that it breaks, until one of them says so by its number."""
    broken(monkeypatch)
    for seed in range(first, first + 60, 3):
        outcome = simulate_group(seed)
        if any(breach.invariant == invariant for breach in outcome.breaches):
            return
    pytest.fail(f"{broken.__name__} went unnoticed")


@pytest.mark.feature("S9")
def test_two_outcomes_and_two_votes_are_two() -> None:
    one = GroupOutcome(proposal=bytes(32), epoch=1, choice=b"a" * 32, certificate=b"x")
    assert law.q1_one_outcome(one, [one, one]) == ""
    assert law.q1_one_outcome(one, [replace(one, choice=b"b" * 32)]) != ""
    assert law.q1_one_vote([b"a", b"a"]) == ""
    assert law.q1_one_vote([b"a", b"b"]) != ""
