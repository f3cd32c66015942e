"""Settlements across a border while messages are lost and doubled: seeded runs, and what must hold at their end.

A holder of the north; a user of either side that asks for too much at times; policies that agree, differ or are absent.

    J1  a GRANT that was confirmed names the record of every jurisdiction that its cell touches, no more and no fewer
    J2  each of them has its authority's credential in the holder's or the user's chain, and all name one policy
    J3  it keeps to the terms that this policy leaves: the strictest of all, or the leader's
"""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from settlement.chain.bodies import Confirm, Grant
from settlement.chain.leaf import decode_leaf
from settlement.chain.records import digest, parse
from settlement.core.reasons import Refusal
from settlement.pair import holder as holding
from settlement.pair import jurisdictions, terms
from settlement.records.jurisdiction import LEAD, STRICTER
from tests.settlement.test_jurisdictions import NORTH, SOUTH, Border
from tests.settlement.world import LOWER, UPPER

pytestmark = pytest.mark.feature("A6")
SEEDS = int(os.environ.get("JURISDICTION_SEEDS", "40"))
TRIED = 12
POLICIES = (
    (STRICTER, STRICTER),
    (STRICTER, STRICTER),
    ("lead:north", "lead:north"),
    (STRICTER, "lead:north"),
    (None, None),
)
MOST_MDBM = {"north": 24_000, "south": 17_000}


class BorderRun:
    """One seeded run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = Random(f"border/{seed}")
        self.policies, self.user_of = self.rng.choice(POLICIES), self.rng.choice(("south", "south", "north"))
        self.border = Border(folder, policies=self.policies, user_of=self.user_of)
        self.loss = self.rng.choice((0.0, 0.2, 0.4))

    def run(self) -> list[str]:
        """Ask under loss, heal, and say what does not hold."""
        world = self.border.world
        world.offer()
        world.carry(0.1)
        for turn in range(5):
            at_s = 1.0 + turn
            band, eirp_mdbm = self.rng.choice((LOWER, UPPER)), self.rng.choice((10_000, 17_000, 20_000, 24_000, 26_000))
            start_s = at_s + self.rng.choice((1.0, 2.0))
            world.request("alice", at_s, band, start_s, start_s + 2.0, eirp_mdbm=eirp_mdbm)
            self._pass(at_s)
        self.loss = 0.0
        for turn in range(8):
            self._pass(6.5 + turn * 0.7)
        return [wrong for grant in self.confirmed() for wrong in self._wrong(grant)]

    def _pass(self, at_s: float) -> None:
        world = self.border.world
        for name, member in world.members.items():
            world.do(name, at_s, member.party.tick)
        world.carry_lossily(at_s, self.rng, self.loss)

    def confirmed(self) -> list[Grant]:
        """Every GRANT whose CONFIRM is in the user's log, by what lies there."""
        lineage = self.border.world.members["alice"].party.lineage
        leaves = [leaf for body in lineage.bodies() if not isinstance(leaf := decode_leaf(body), Refusal)]
        found: list[Any] = []
        for raw in [leaf.record for leaf in leaves if leaf.admitted and leaf.record]:
            opened = unproven.opened() if not isinstance(unproven := parse(raw), Refusal) else unproven
            found += [] if isinstance(opened, Refusal) else [opened.body]
        done = {body.sid for body in found if isinstance(body, Confirm)}
        return [body for body in found if isinstance(body, Grant) and body.sid in done]

    def _wrong(self, grant: Grant) -> list[str]:
        links = dict(zip(MOST_MDBM, self.border.rule.jurisdictions or (), strict=True))
        touched = [n for n, area in zip(MOST_MDBM, (NORTH, SOUTH), strict=True) if area.overlaps(grant.cell.area)]
        broken = []
        if set(grant.jurisdictions or ()) != {digest(links[name].record) for name in touched}:
            broken.append(f"J1: {len(grant.jurisdictions or ())} named of {touched}")
        if not set(touched) <= {"north", self.user_of} or len(set(self.policies)) > 1 or self.policies[0] is None:
            broken.append(f"J2: settled between north and {self.user_of} by {self.policies}")
        policy = self.policies[0] or ""
        binding = [policy.removeprefix(LEAD)] if policy.startswith(LEAD) else touched
        most_mdbm = min(MOST_MDBM[name] for name in binding)
        if grant.max_eirp_mdbm > most_mdbm:
            broken.append(f"J3: {grant.max_eirp_mdbm} mdBm of {most_mdbm} by {policy}")
        return broken


def test_no_seed_at_a_border_breaks_what_must_hold(tmp_path: Path) -> None:
    happened: Counter[str] = Counter()
    for seed in range(SEEDS):
        (tmp_path / str(seed)).mkdir()
        run = BorderRun(tmp_path / str(seed), seed)
        assert run.run() == [], f"seed {seed}"
        happened.update({"settled" if run.confirmed() else "nothing settled", run.user_of, str(run.policies[1])})
    wanted = ("settled", "nothing settled", "north", "south", STRICTER, "lead:north", "None")
    assert [what for what in wanted if not happened[what]] == []


Break = Callable[[pytest.MonkeyPatch], None]


def nobody_asks_for_jurisdictions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(terms, "judge_jurisdictions", lambda *_: None)


def one_of_two_is_overlooked(patch: pytest.MonkeyPatch) -> None:
    whole = jurisdictions.touched_by

    def first(*of: Any) -> Any:
        return whole(*of)[:1]

    patch.setattr(jurisdictions, "touched_by", first)
    patch.setattr(holding, "touched_by", first)


def anybody_stands_for_an_authority(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(jurisdictions, "represented_by", lambda *_: "credential")


def policies_need_not_agree(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(jurisdictions, "_reconciled", lambda *_: None)


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (nobody_asks_for_jurisdictions, ("J2", "J3")),
        (one_of_two_is_overlooked, ("J1",)),
        (anybody_stands_for_an_authority, ("J2",)),
        (policies_need_not_agree, ("J2", "J3")),
    ],
)
def test_a_program_that_overlooks_a_jurisdiction_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Break, caught: tuple[str, ...]
) -> None:
    broken(monkeypatch)
    for seed in range(TRIED):
        (tmp_path / str(seed)).mkdir()
        if any(said.startswith(caught) for said in BorderRun(tmp_path / str(seed), seed).run()):
            return
    pytest.fail(f"{TRIED} seeds, and nobody noticed")
