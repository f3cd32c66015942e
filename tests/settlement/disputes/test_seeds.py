"""Seeds of promises under loss: none breaks what must hold, and a program that is broken on purpose is caught."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from settlement.disputes import rulings
from settlement.pair import holderdecision, holdermove
from settlement.pair.debts import Debts
from settlement.pair.transmit import furthest
from settlement.records.conduct import complaint, fallback
from tests.settlement.disputes.seeds import Promises

SEEDS = int(os.environ.get("PROMISE_SEEDS", "40"))
TRIED = 16


@pytest.mark.feature("A2")
@pytest.mark.feature("M6")
@pytest.mark.timeout(600)
def test_no_seed_breaks_what_must_hold(tmp_path: Path) -> None:
    happened: Counter[str] = Counter()
    for seed in range(SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run = Promises(folder, seed)
        assert run.run() == [], f"seed {seed}"
        happened.update({*run.happened, "kept" if run.kept else "broken"})
    assert all(happened[what] for what in ("disputed", "answered", "ruled", "refused", "kept", "broken")), happened


@pytest.mark.feature("M6")
def test_a_ruling_that_overtakes_its_dispute_is_taken_once_that_is_on_record(tmp_path: Path) -> None:
    """Seed 100140: the dispute was refused (what it cites was not there yet), and the ruling on it refused for good."""
    run = Promises(tmp_path, 100140)
    assert run.run() == []
    assert "ruled" in run.happened


Break = Callable[[pytest.MonkeyPatch], None]


def what_is_owed_is_said_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Debts, "tick", lambda *_: None)


def nothing_is_paid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(complaint, "_pay", lambda *_: None)


def any_ruling_is_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(complaint, "judge_ruling", lambda *_: None)


def rulings_do_not_hear_the_answer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(complaint, "judge_hearing", lambda *_, **__: None)


def leases_go_on_after_the_move(patch: pytest.MonkeyPatch) -> None:
    def longer(governed: object, work: object, pair: object) -> int:
        return furthest(work.now.time.earliest_ns, pair.cell, pair.lease_ns)  # type: ignore[attr-defined]

    patch.setattr(holderdecision, "lease_until_ns", longer)
    patch.setattr("settlement.pair.holderlease.lease_until_ns", longer)


def a_move_does_not_wait_for_the_last_lease(patch: pytest.MonkeyPatch) -> None:
    plan = holdermove.MoveKeeper.plan

    def sooner(self: object, work: object, pair: object, *rest: object, **names: object) -> object:
        return plan(self, work, replace(pair, transmit_until_ns=0), *rest, **names)  # type: ignore[arg-type, type-var]

    patch.setattr(holdermove.MoveKeeper, "plan", sooner)
    patch.setattr(fallback, "_kept", lambda *_: None)


def every_dispute_is_upheld(patch: pytest.MonkeyPatch) -> None:
    find = rulings.find

    def upheld(case: object) -> object:
        return replace(find(case), upheld=True, lost_from_ns=0)  # type: ignore[arg-type, type-var]

    patch.setattr(rulings, "find", upheld)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (what_is_owed_is_said_once, ("P1", "P2")),
        (nothing_is_paid, ("P1",)),
        (any_ruling_is_taken, ("P2",)),
        (rulings_do_not_hear_the_answer, ("P2",)),
        (leases_go_on_after_the_move, ("P3",)),
        (a_move_does_not_wait_for_the_last_lease, ("P3",)),
        (every_dispute_is_upheld, ("P4",)),
    ],
)
def test_a_broken_program_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Break, caught: tuple[str, ...]
) -> None:
    broken(monkeypatch)
    for seed in range(TRIED):
        folder = tmp_path / str(seed)
        folder.mkdir()
        if any(said.startswith(caught) for said in Promises(folder, seed).run()):
            return
    pytest.fail(f"{TRIED} seeds, and nobody noticed")
