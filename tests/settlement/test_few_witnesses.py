"""What witnessing costs does not grow with the neighbours: few are asked, few are told, and a round still ends."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock, call

import pytest

from settlement.chain.leaf import Leaf, decode_leaf
from settlement.pair.transmit import RESEND_NS
from settlement.state import witness
from settlement.state.headnews import HEADS_KEPT, TELL_NS, TOLD_AT_ONCE, AskingOrder, HeadNews
from settlement.state.witness import ROUND, WAITING
from tests.settlement.world import HOLDER_ACTIONS, LOWER, NS, RULE, UPPER, USER_ACTIONS, World, held

pytestmark = pytest.mark.feature("S8")
NAMES = [bytes([n]) * 32 for n in range(16)]


def test_each_neighbour_is_asked_in_its_turn_and_the_late_ones_last() -> None:
    order = AskingOrder()
    asked = Counter(one for _ in range(160) for one in order.some(NAMES, 3))
    assert set(asked.values()) == {30}
    order.let_wait(NAMES[2])
    assert all(NAMES[2] not in order.some(NAMES, 3) for _ in range(32))
    assert NAMES[2] in order.some(NAMES, 16), "with nobody else left it is asked"
    order.answered(NAMES[2])
    assert any(NAMES[2] in order.some(NAMES, 3) for _ in range(16))
    assert AskingOrder().some([], 3) == []


def told(news: HeadNews, now_ns: int) -> list[tuple[bytes, bytes]]:
    return list(news.due(now_ns, NAMES))


def test_a_head_is_told_at_once_and_reaches_everybody_but_its_owner() -> None:
    news = HeadNews()
    news.note(NAMES[0], b"one")
    first = told(news, 0)
    assert 1 <= len(first) <= TOLD_AT_ONCE
    assert told(news, TELL_NS - 1) == []
    everything = first + [one for turn in range(1, 6) for one in told(news, turn * TELL_NS)]
    assert Counter(everything) == Counter((name, b"one") for name in NAMES[1:])
    assert [one for turn in range(6, 20) for one in told(news, turn * TELL_NS)] == []


def test_there_is_nothing_to_tell_before_a_head_came_or_so_soon_again() -> None:
    news = HeadNews()
    assert not news.waits(0)
    news.note(NAMES[0], b"one")
    assert news.waits(0)
    told(news, 0)
    assert not news.waits(TELL_NS - 1)
    assert news.waits(TELL_NS)


def test_who_is_near_is_known_anew_once_somebody_is_admitted_or_succeeded(tmp_path: Path) -> None:
    world = town(tmp_path, 1)
    registry = world.registry()
    near = witness.Witness(me=world.members["holder"].hash, registry=registry, quorum=1)
    before = near.neighbours()
    assert near.neighbours() is before, "it is not looked up again"
    late = held(registry.admit(world.credential("late", USER_ACTIONS)))
    assert {one.hash for one in near.neighbours()} - {one.hash for one in before} == {late.hash}
    near.me = late.hash
    assert late.hash not in {one.hash for one in near.neighbours()}


def test_a_tick_has_something_to_do_while_there_are_heads_to_tell_of_or_a_round_goes_on(tmp_path: Path) -> None:
    world = town(tmp_path, 1)
    near = witness.Witness(me=world.members["holder"].hash, registry=world.registry(), quorum=1)
    idle, asking = Mock(), Mock()
    idle.now.time.latest_ns = asking.now.time.latest_ns = 0
    idle.lineage.get = lambda _kind, _key: None
    asking.lineage.get = lambda kind, key: b"a round" if (kind, key) == (ROUND, b"") else None
    assert not near.waits(idle)
    assert near.waits(asking)
    near._news.note(NAMES[0], b"one")
    assert near.waits(idle)


def test_telling_is_bounded_by_time_not_by_settlements() -> None:
    news = HeadNews()
    sent = 0
    for number in range(10_000):
        news.note(NAMES[number % 2], number.to_bytes(4, "big"))
        sent += len(told(news, number * TELL_NS // 1000))
    assert sent <= 11 * TOLD_AT_ONCE * 2 * HEADS_KEPT
    last = [raw for _, raw in told(news, 20 * TELL_NS)]
    assert {int.from_bytes(raw, "big") for raw in last} == set(range(10_000 - 2 * HEADS_KEPT, 10_000))


QUORUM = 2


def town(folder: Path, witnesses: int) -> World:
    """A holder, a user, and so many others that may witness."""
    world = World(folder, rule=replace(RULE, witness_quorum=QUORUM))
    others = {f"n{number}": USER_ACTIONS for number in range(witnesses)}
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, **others)
    for name in world.members:
        world.do(name, -6.0, world.members[name].party.hello)
    world.carry(-6.0)
    return world


def signed(world: World, typ: str) -> int:
    """How many records of a type the members have signed."""
    found = 0
    for member in world.members.values():
        party = member.party
        leaves = [decode_leaf(body) for body in party.lineage.bodies()]
        records = [party.record_of(leaf.subject) for leaf in leaves if isinstance(leaf, Leaf) and leaf.admitted]
        found += sum(one is not None and one.typ == typ and one.frame.author == member.hash for one in records)
    return found


@pytest.mark.parametrize("witnesses", [3, 12])
def test_a_settlement_asks_one_more_than_it_needs_however_many_there_are(tmp_path: Path, witnesses: int) -> None:
    world = town(tmp_path, witnesses)
    before = signed(world, "checkpoint"), signed(world, "cosignature")
    world.settle()
    asked, answered = signed(world, "checkpoint") - before[0], signed(world, "cosignature") - before[1]
    assert QUORUM <= answered <= asked == QUORUM + 1


def test_a_round_ends_though_all_that_were_asked_are_gone(tmp_path: Path) -> None:
    world = town(tmp_path, 6)
    holder, alice = world.members["holder"], world.members["alice"]
    world.offer()
    world.carry(0.1)
    sid = world.request("alice", 1.0, LOWER, 2.0, 12.0)
    for member, to in ((alice, "holder"), (holder, "alice"), (alice, "holder")):
        waiting, member.outgoing = member.outgoing, []
        for message in waiting:
            world.give(member.name, to, message.data, 1.0)
    names = {member.hash: name for name, member in world.members.items()}
    gone = {names[message.to] for message in holder.outgoing}
    assert len(gone) == QUORUM + 1
    holder.outgoing = []
    later_s = 1.0 + 2 * RESEND_NS / NS
    world.do("holder", later_s, holder.party.tick)
    asked = {names[message.to] for message in holder.outgoing}
    assert asked == set(names.values()) - {"holder"}
    holder.outgoing = [message for message in holder.outgoing if names[message.to] not in gone]
    world.carry(later_s)
    assert alice.party.lineage.get("artifact", sid) is not None
    # Who let a round wait is not asked first again.
    world.request("alice", 2.0, UPPER, 3.0, 9.0)
    for member, to in ((alice, "holder"), (holder, "alice"), (alice, "holder")):
        waiting, member.outgoing = member.outgoing, []
        for message in waiting:
            world.give(member.name, to, message.data, 2.0)
    assert not gone - {"alice"} & {names[message.to] for message in holder.outgoing}


@pytest.mark.parametrize(("over", "left"), [("", "ab"), ("a", "b"), ("ab", "")], ids=["none", "one", "all"])
def test_a_confirm_that_can_allow_nothing_waits_for_no_witness(over: str, left: str) -> None:
    """Its row goes, and is told of; the round of asking goes with the last one that waits, and not before."""
    rows = {(WAITING, b"a"): b"1", (WAITING, b"b"): b"2", (ROUND, b""): b"3", ("other", b"a"): b"4"}
    step = Mock()
    step.lineage.items = lambda kind: [(name, raw) for (of, name), raw in rows.items() if of == kind]
    step.drop = lambda kind, name: rows.pop((kind, name))
    witness.Witness.let_go(Mock(), step, lambda name: name.decode() in over)
    assert {name.decode() for kind, name in rows if kind == WAITING} == set(left)
    assert ((ROUND, b"") in rows) is bool(left)
    assert ("other", b"a") in rows
    assert step.event.call_args_list == [call("not witnessed", confirm=name.encode()) for name in over]
