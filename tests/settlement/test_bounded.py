"""Tests that finished settlements and old records do not use memory, time or disk without bound."""

from itertools import pairwise
from pathlib import Path

import pytest

from settlement.chain.scope import Band
from settlement.core.reasons import Reason
from settlement.pair import holderpairs, userpairs
from settlement.pair.table import UserState
from settlement.state import replays
from settlement.state.replays import Replays
from tests.settlement.world import LOWER, NS, World, fix, trio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def settle_many(world: World, count: int) -> None:
    """One settlement after the other, each a second long, each over before the next begins."""
    world.offer()
    world.carry(0.1)
    for number in range(count):
        at_s = 1.0 + 2 * number
        world.request("alice", at_s, LOWER, at_s + 0.5, at_s + 1.5)
        assert world.carry(at_s) == []
        for name in ("holder", "alice"):
            world.do(name, at_s + 1.8, world.members[name].party.tick)


@pytest.mark.feature("S7")
def test_settlements_that_are_over_are_laid_aside_and_then_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holderpairs, "KEPT_MAX", 3)
    monkeypatch.setattr(userpairs, "KEPT_MAX", 2)
    settle_many(world, 6)
    holder, alice = world.members["holder"].party, world.members["alice"].party
    assert (len(holder.holder.pairs), len(alice.user.pairs)) == (3, 2)
    assert not holder.holder.busy
    assert not alice.user.busy
    assert len(holder.lineage.items(holderpairs.STORE)) == 3
    assert len(alice.lineage.items(userpairs.STORE)) == 2
    assert not holder.due(fix(20.0))
    again = world.member_again("holder").party.holder
    assert again.pairs == holder.holder.pairs


def test_what_is_not_over_is_kept_however_much_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holderpairs, "KEPT_MAX", 0)
    world.offer()
    world.carry(0.1)
    for number in range(3):
        band = Band(low_hz=LOWER.low_hz, high_hz=LOWER.low_hz + 5_000_000)
        world.request("alice", 1.0, band, 2.0 + number, 3.0 + number)
    assert world.carry(1.0) == []
    holder = world.members["holder"].party
    world.do("holder", 1.5, holder.tick)
    assert len(holder.holder.busy) == 3


def test_a_forgotten_request_cannot_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cell's window is over: the same REQUEST in a new record is refused for that."""
    monkeypatch.setattr(holderpairs, "KEPT_MAX", 0)
    settle_many(world, 1)
    (pair,) = world.members["alice"].party.user.pairs.values()
    asked = world.members["alice"].party.record_of(pair.request)
    assert asked is not None
    assert not world.members["holder"].party.holder.pairs
    record = world.do("alice", 4.0, lambda step: step.sign(asked.body))
    world.do("alice", 4.0, lambda step: step.send(world.members["holder"].hash, record.raw))
    (refusal, *_) = world.carry(4.0)
    assert refusal.reason is Reason.EXPIRED


def test_offers_are_dropped_with_their_window(world: World) -> None:
    world.offer()
    world.carry(0.1)
    holder, alice = world.members["holder"].party, world.members["alice"].party
    assert (len(holder.holder.offers), len(alice.user.offers)) == (1, 1)
    for name in ("holder", "alice"):
        world.do(name, 301.0, world.members[name].party.tick)
    assert (len(holder.holder.offers), len(alice.user.offers)) == (0, 0)
    assert holder.lineage.items("offer") == []
    assert alice.lineage.items("heard") == []


@pytest.mark.feature("S10")
def test_replays_are_answered_for_ever_and_logged_a_few_times(world: World) -> None:
    world.settle()
    size_before = world.members["holder"].party.lineage.size
    sid = next(iter(world.members["alice"].party.user.pairs.values()))
    raw = world.members["alice"].party.record_bytes(sid.accept)
    assert raw is not None
    from settlement.state.messages import Message

    for _ in range(8):
        refusal = world.give("alice", "holder", Message(record=raw).encoded(), 1.5)
        assert refusal is not None
        assert refusal.reason is Reason.REPLAY
    holder = world.members["holder"]
    assert len({o.data for o in holder.outgoing}) == 1
    assert len(holder.outgoing) == 8
    assert holder.party.lineage.size == size_before + replays.LOGGED
    assert not [n for (n,) in holder.party.lineage._db.execute("SELECT name FROM counter") if "replay" in n]


def test_replay_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "KEPT_MAX", 10)
    counts = Replays()
    for number in range(1000):
        counts.to_log(number.to_bytes(4, "big"))
    assert len(counts) == 10
    assert [counts.to_log(b"x") for _ in range(5)] == [True] * 3 + [False] * 2


@pytest.mark.feature("S7")
def test_a_lost_relinquish_is_said_again_until_it_was_heard(world: World) -> None:
    world.settle(start_s=2.0, end_s=60.0)
    alice = world.members["alice"]
    (pair,) = alice.party.user.pairs.values()
    world.do("alice", 3.0, lambda step: alice.party.user.relinquish(step, pair.sid, "done"))
    (first,) = alice.outgoing
    sent = []
    for tenth in range(1, 70):
        alice.outgoing = []
        world.do("alice", 3.0 + tenth / 10, alice.party.tick)
        sent += [(tenth, o.data) for o in alice.outgoing]
    assert {data for _, data in sent} == {first.data}
    pauses = [b - a for (a, _), (b, _) in pairwise(sent)]
    assert pauses[0] <= pauses[-1]
    assert 8 <= len(sent) <= 24
    assert world.give("alice", "holder", first.data, 10.0) is None, "it counts however late it comes"
    assert world.carry(10.0) == []
    world.do("alice", 30.0, alice.party.tick)
    assert not alice.outgoing


def test_a_heard_relinquish_is_not_said_again(world: World) -> None:
    world.settle(start_s=2.0, end_s=60.0)
    alice = world.members["alice"]
    (pair,) = alice.party.user.pairs.values()
    world.do("alice", 3.0, lambda step: alice.party.user.relinquish(step, pair.sid, "done"))
    (first,) = alice.outgoing
    assert world.carry(3.0) == []
    (receipt,) = [n for n in world.members["holder"].notices if n.name == "ended"]
    assert receipt.fields["reason"] == "relinquished"
    for at_s in (4.0, 10.0, 30.0):
        world.do("alice", at_s, alice.party.tick)
        assert not alice.outgoing
    (pair,) = alice.party.user.pairs.values()
    assert (pair.state, pair.last) == (UserState.ENDED, b"")
    world.give("alice", "holder", first.data, 3.5)
    assert len(world.members["holder"].outgoing) == 1, "the same receipt for the same record"


@pytest.mark.feature("A7")
def test_what_was_spent_is_kept_for_one_window(tmp_path: Path) -> None:
    from dataclasses import replace

    from settlement.chain import bodies
    from settlement.state.budget import SPENT
    from tests.settlement.world import RULE

    budget = bodies.Budget(
        level="operator", commodity="cbrs", window_ns=2 * NS, amount_hz_s=10**9, first_share_ppm=bodies.PPM, step_ppm=0
    )
    world = trio(tmp_path, rule=replace(RULE, budgets=(budget,)))
    settle_many(world, 5)
    assert len(world.members["holder"].party.lineage.items(SPENT)) == 2, "the budget's and alice's own"
