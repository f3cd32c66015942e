"""Seeds of a market under loss: none breaks what must hold, and a program that is broken on purpose is caught."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from settlement.chain import bodies
from settlement.market import tiers
from settlement.market.tiers import Displacement
from settlement.pair import displacement
from settlement.pair.debts import Debts
from settlement.records.conduct import counter, market
from settlement.records.endings import Compensation
from tests.settlement.market.seeds import Market

SEEDS = int(os.environ.get("MARKET_SEEDS", "40"))
TRIED = 24


@pytest.mark.feature("A1")
@pytest.mark.feature("A3")
@pytest.mark.feature("M3")
@pytest.mark.timeout(600)
def test_no_seed_of_the_market_breaks_what_must_hold(tmp_path: Path) -> None:
    happened: Counter[str] = Counter()
    for seed in range(SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run = Market(folder, seed)
        assert run.run() == [], f"seed {seed}"
        for kind in (bodies.Confirm, bodies.Counter, bodies.Preempt, Compensation):
            happened[kind.__name__] += len(run.all(kind))
        happened["parts"] += sum(len(one.settled) for one in run.fillings.values())
    assert all(happened[what] for what in ("Confirm", "Counter", "Preempt", "Compensation", "parts")), happened


Break = Callable[[pytest.MonkeyPatch], None]


def debts_are_said_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Debts, "tick", lambda *_: None)


def debts_are_not_signed(patch: pytest.MonkeyPatch) -> None:
    def less(**fields: int) -> Compensation:
        return Compensation(**{**fields, "amount": fields["amount"] + 1})  # type: ignore[arg-type]

    patch.setattr("settlement.pair.holderlease.Compensation", less)


def leases_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    def at_once(_terms: object, _tier: int, held: tiers.Displaceable, **_facts: object) -> Displacement:
        return Displacement(vacate_by_ns=0, owed=held.price)

    patch.setattr(displacement, "judge_displacing", at_once)


def any_price_is_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(market, "judge_opening", lambda _case: None)


def the_least_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(counter, "least_of", lambda *_: 0)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (debts_are_said_once, "M1"),
        (debts_are_not_signed, "M1"),
        (leases_are_not_waited_for, "M4"),
        (any_price_is_taken, "M3"),
        (the_least_is_forgotten, "M3"),
    ],
)
def test_a_broken_market_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Break, caught: str) -> None:
    broken(monkeypatch)
    for seed in range(TRIED):
        folder = tmp_path / str(seed)
        folder.mkdir()
        if any(said.startswith(caught) for said in Market(folder, seed).run()):
            return
    pytest.fail(f"{TRIED} seeds, and nobody noticed")
