"""Old answers are swept out a few at a time, now and then; those in settlements that either side remembers stay."""

from itertools import pairwise
from pathlib import Path

import pytest

from settlement.state import oldreplies
from settlement.state.step import REPLIED, REPLY
from tests.settlement.world import LOWER, NS, World, fix, offered

pytestmark = pytest.mark.feature("S10")
KEPT_S, APART_S = 60, oldreplies.REPLY_SWEEP_NS / NS


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(oldreplies, "REPLY_KEPT_NS", KEPT_S * NS)
    return offered(tmp_path)


def answered(world: World, name: str) -> set[bytes]:
    """The records that a node keeps an answer to; each has one row that says when it was given."""
    log = world.members[name].party.lineage
    kept = {key for key, _ in log.items(REPLY)}
    assert {key[8:] for key, _ in log.items(REPLIED)} == kept
    return kept


def sweep(world: World, name: str, at_s: float) -> None:
    party = world.members[name].party
    world.do(name, at_s, lambda step: oldreplies.sweep(party, step))


def test_what_a_user_answered_in_a_settlement_that_it_remembers_stays(world: World) -> None:
    world.settle()
    alice = world.members["alice"].party
    (pair,) = alice.user.pairs.values()
    assert pair.grant in answered(world, "alice")
    sweep(world, "alice", 3 * KEPT_S)
    assert pair.grant in answered(world, "alice")


def test_what_a_holder_answered_in_a_settlement_that_it_remembers_stays(world: World) -> None:
    """A RELINQUISH is none of the records that the settlement itself names."""
    world.settle()
    holder, alice = world.members["holder"].party, world.members["alice"].party
    (pair,) = holder.holder.pairs.values()
    world.do("alice", 3.0, lambda step: alice.user.relinquish(step, pair.sid, "over"))
    assert world.carry(3.0) == []
    before = answered(world, "holder")
    assert before > {pair.request, pair.accept}
    sweep(world, "holder", 3 * KEPT_S)
    assert answered(world, "holder") == before


def refused(world: World, count: int) -> None:
    """So many answers of the holder's that nobody will ask for again."""
    world.settle()
    for number in range(count):
        world.request("bob", 1.2 + number / 100, LOWER, 2.0, 9.0)
        assert len(world.carry(1.2 + number / 100)) == 1


def test_few_are_swept_out_at_once_and_the_rest_the_next_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oldreplies, "REPLIES_AT_ONCE", 3)
    refused(world, 5)
    sizes = [len(answered(world, "holder"))]
    for turn in range(4):
        sweep(world, "holder", 3 * KEPT_S + turn * (APART_S + 1))
        sizes.append(len(answered(world, "holder")))
    assert all(0 <= before - after <= 3 for before, after in pairwise(sizes))
    assert sizes[-1] == 2, "those of the settlement"
    assert sizes[1] > 2


def test_it_is_looked_for_old_ones_now_and_then(world: World) -> None:
    holder = world.members["holder"].party
    first_s = 3 * KEPT_S
    assert oldreplies.are_due(holder, fix(first_s).time)
    sweep(world, "holder", first_s)
    assert not oldreplies.are_due(holder, fix(first_s + APART_S - 1).time), "though it found none"
    assert oldreplies.are_due(holder, fix(first_s + APART_S + 1).time)


def test_nothing_is_swept_out_before_that_whoever_asks(world: World) -> None:
    holder = world.members["holder"].party
    sweep(world, "holder", 3 * KEPT_S)
    world.do("holder", 2.0, lambda step: step.keep_answer(b"old" * 10, b"answer"))
    sweep(world, "holder", 3 * KEPT_S + APART_S - 1)
    assert b"old" * 10 in {key for key, _ in holder.lineage.items(REPLY)}
    sweep(world, "holder", 3 * KEPT_S + APART_S + 1)
    assert b"old" * 10 not in {key for key, _ in holder.lineage.items(REPLY)}
