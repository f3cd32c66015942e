"""COUNTERs between whole parties: a price is agreed on and granted word for word, or none is and both logs say why."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies, records
from settlement.chain.leaf import decode_leaf
from settlement.chain.scope import Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.pair.table import HolderState, UserState
from settlement.records.conduct.counter import LEAST
from settlement.state.messages import Message
from settlement.state.shares import Allowance, Share, Shares
from settlement.state.step import Step
from tests.settlement.world import AREA, BAND, LOWER, NS, RULE, T0, TERMS, World, fix, trio

ROUNDS = 5
ASKED, LEAST_PRICE = 90, 40


def haggling(folder: Path, *, rounds: int | None = ROUNDS, least: int = LEAST_PRICE, form: str = "negotiated") -> World:
    """A trio whose holder asks 90 and takes 40 at the least, under a rule with so many rounds."""
    world = trio(folder, rule=replace(RULE, classes=(replace(TERMS, rounds_max=rounds),)))
    party = world.members["holder"].party
    cell = Cell(band=BAND, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 300 * NS))
    body = bodies.Declaration(
        cell=cell,
        commodity="cbrs",
        tier_low=2,
        tier_high=3,
        max_eirp_mdbm=30_000,
        price_form=form,
        price=ASKED,
        rule=party.rule.hash,
    )

    def act(step: Step) -> None:
        record = party.holder.declare(step, body)
        step.put(LEAST, record.digest, least.to_bytes(8, "big"))
        for other in ("alice", "bob"):
            step.send(world.members[other].hash, record.raw)

    world.do("holder", 0.0, act)
    world.carry(0.1)
    return world


def bid(world: World, price: int, most: int | None) -> bytes:
    party = world.members["alice"].party
    offer = next(iter(party.user.offers.values()))
    cell = Cell(band=LOWER, area=AREA, window=Window(start_ns=T0 + 5 * NS, end_ns=T0 + 15 * NS))

    def ask(step: Step) -> bytes:
        return party.user.request(step, offer, cell, eirp_mdbm=20_000, price=price, price_max=most).sid

    sid: bytes = world.do("alice", 1.0, ask)
    return sid


def bodies_in(world: World, name: str, kind: type[Any]) -> list[Any]:
    party = world.members[name].party
    leaves = [decode_leaf(body) for body in party.lineage.bodies()]
    raws = [leaf.record for leaf in leaves if not isinstance(leaf, Refusal) and leaf.admitted and leaf.record]
    found = [party.record_of(records.digest(raw)) for raw in raws]
    return [one.body for one in found if one is not None and isinstance(one.body, kind)]


@pytest.mark.feature("M3")
def test_a_price_is_agreed_on_in_counters_and_granted_word_for_word(tmp_path: Path) -> None:
    world = haggling(tmp_path)
    sid = bid(world, 10, 70)
    assert world.carry(1.0) == []
    alice, holder = world.members["alice"].party, world.members["holder"].party
    pair = alice.user.by_sid(sid)
    assert pair is not None
    assert pair.state == UserState.SETTLED
    (grant,) = bodies_in(world, "alice", bodies.Grant)
    assert LEAST_PRICE <= grant.price <= 70
    counters = bodies_in(world, "holder", bodies.Counter)
    assert [one.round for one in counters] == list(range(1, len(counters) + 1))
    assert 1 <= len(counters) <= ROUNDS
    first, last = bodies_in(world, "holder", bodies.Request)
    assert (first.price, last.price) == (10, grant.price)
    assert last == replace(first, price=counters[-1].price, counter=last.counter)
    assert bodies_in(world, "alice", bodies.Counter) == counters, "both logs tell the same story"
    assert holder.holder.pairs[sid].state == HolderState.CONFIRMED


@pytest.mark.feature("M3")
def test_a_bid_that_is_enough_is_granted_at_once(tmp_path: Path) -> None:
    world = haggling(tmp_path)
    bid(world, 50, 70)
    assert world.carry(1.0) == []
    assert bodies_in(world, "holder", bodies.Counter) == []
    assert [grant.price for grant in bodies_in(world, "alice", bodies.Grant)] == [50]


@pytest.mark.feature("M3")
@pytest.mark.attack(51)
def test_a_user_that_can_bear_no_price_gives_up_with_a_reason(tmp_path: Path) -> None:
    world = haggling(tmp_path, least=80)
    sid = bid(world, 10, 20)
    world.carry(1.0)
    pair = world.members["alice"].party.user.by_sid(sid)
    assert pair is not None
    assert (pair.state, pair.ended) == (UserState.REFUSED, Reason.PRICE.value)
    refused = [notice.fields for notice in world.members["alice"].notices if notice.name == "refused"]
    assert refused[-1]["required"] == "<= 20, the most it may cost"
    assert bodies_in(world, "holder", bodies.Grant) == []


@pytest.mark.feature("M3")
@pytest.mark.attack(51)
@pytest.mark.parametrize(("rounds", "form"), [(None, "negotiated"), (ROUNDS, "fixed")])
def test_without_bargaining_a_low_price_is_refused(tmp_path: Path, rounds: int | None, form: str) -> None:
    world = haggling(tmp_path, rounds=rounds, form=form)
    bid(world, 10, 70)
    (refusal,) = world.carry(1.0)
    assert (refusal.reason, refusal.clause, refusal.measured, refusal.required) == (
        Reason.PRICE,
        "request.price",
        "10",
        str(ASKED),
    )


def opened(world: World) -> tuple[records.Record, bodies.Counter]:
    """Alice has bid 10; the holder's first COUNTER is on its way and lost."""
    bid(world, 10, 70)
    (message,) = world.members["alice"].outgoing
    world.members["alice"].outgoing = []
    assert world.give("alice", "holder", message.data, 1.0) is None
    world.members["holder"].outgoing = []
    (counter,) = bodies_in(world, "holder", bodies.Counter)
    holder = world.members["holder"].party
    name = next(
        records.digest(leaf.record)
        for body in holder.lineage.bodies()
        if not isinstance(leaf := decode_leaf(body), Refusal)
        and leaf.record
        and leaf.admitted
        and (found := holder.record_of(records.digest(leaf.record))) is not None
        and isinstance(found.body, bodies.Counter)
    )
    record = holder.record_of(name)
    assert record is not None
    return record, counter


def said_by(world: World, body: Any, who: str = "alice", at_s: float = 1.0) -> Refusal | None:
    key = world.members[who].key
    raw = records.sign_record(key, world.frame(who), body)
    return world.give(who, "holder", Message(record=raw).encoded(), at_s)


@pytest.mark.feature("M3")
@pytest.mark.attack(51)
@pytest.mark.parametrize(
    ("changes", "reason", "clause"),
    [
        ({"round": 3}, Reason.ROUNDS, "counter.turn"),
        ({"round": ROUNDS + 1}, Reason.ROUNDS, "disposition.13.rounds"),
        ({"price": 101}, Reason.PRICE, "disposition.13.price"),
        ({"commodity": "cbr"}, Reason.SCOPE, "capability.8.class"),
        ({"answers": b"\x05" * 32}, Reason.OUT_OF_ORDER, "counter.answers"),
        ({"declaration": b"\x05" * 32}, Reason.TERMS, "counter.cell"),
    ],
)
def test_a_counter_out_of_turn_or_bounds_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: Reason, clause: str
) -> None:
    world = haggling(tmp_path)
    record, counter = opened(world)
    mine = replace(counter, answers=record.digest, round=2, price=30)
    refusal = said_by(world, replace(mine, **changes))
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (reason, clause)
    assert refusal.measured
    assert refusal.required


@pytest.mark.feature("M3")
@pytest.mark.attack(51)
def test_one_round_too_many_leaves_no_answer_to_give(tmp_path: Path) -> None:
    world = haggling(tmp_path, rounds=2)
    record, counter = opened(world)
    refusal = said_by(world, replace(counter, answers=record.digest, round=2, price=30))
    assert refusal is not None
    assert (refusal.reason, refusal.measured) == (Reason.ROUNDS, "3")


@pytest.mark.feature("M3")
@pytest.mark.parametrize(
    ("changes", "at_s", "clause"),
    [
        ({}, 1.0, ""),
        ({}, 2.1, "request.counter_by"),
        ({"price": 39}, 1.0, "request.price"),
        ({"cell": "wider"}, 1.0, "request.price"),
        ({"counter": b"\x05" * 32}, 1.0, "request.counter"),
    ],
)
def test_a_counter_binds_for_its_time_and_for_what_was_asked(
    tmp_path: Path, changes: dict[str, Any], at_s: float, clause: str
) -> None:
    world = haggling(tmp_path)
    record, counter = opened(world)
    (asked,) = bodies_in(world, "alice", bodies.Request)
    mine = replace(asked, price=counter.price, counter=record.digest)
    if changes.get("cell"):
        changes = {"cell": replace(asked.cell, band=BAND)}
    key = world.members["alice"].key
    raw = records.sign_record(key, world.frame("alice", at=fix(at_s)), replace(mine, **changes))
    refusal = world.give("alice", "holder", Message(record=raw).encoded(), at_s)
    assert (refusal.clause if refusal is not None else "") == clause


@pytest.mark.feature("M3")
def test_nobody_takes_a_price_that_another_was_told(tmp_path: Path) -> None:
    world = haggling(tmp_path)
    record, counter = opened(world)
    (asked,) = bodies_in(world, "alice", bodies.Request)
    refusal = said_by(world, replace(asked, price=counter.price, counter=record.digest), "bob")
    assert refusal is not None
    assert refusal.clause == "request.counter"


@pytest.mark.feature("M3")
@pytest.mark.attack(51)
def test_a_counter_after_the_grant_is_out_of_order(tmp_path: Path) -> None:
    world = haggling(tmp_path)
    bid(world, 10, 70)
    assert world.carry(1.0) == []
    counters = [one for one in bodies_in(world, "holder", bodies.Counter) if one.round % 2 == 1]
    (last,) = [one for one in bodies_in(world, "holder", bodies.Request) if one.counter is not None]
    refusal = said_by(world, replace(counters[-1], answers=last.counter, round=counters[-1].round + 1, price=30))
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.OUT_OF_ORDER, "counter.granted")


@pytest.mark.feature("M3")
@pytest.mark.feature("S7")
def test_what_is_lost_is_said_again_and_a_restart_forgets_no_price(tmp_path: Path) -> None:
    """The holder's COUNTER is lost, then the holder restarts; the same REQUEST gets the same COUNTER, and it holds."""
    world = haggling(tmp_path)
    record, _counter = opened(world)
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    world.members["holder"].outgoing = []
    world.do("alice", 1.4, world.members["alice"].party.tick)
    assert [refusal.reason for refusal in world.carry(1.4)] == [Reason.REPLAY]
    (grant,) = bodies_in(world, "alice", bodies.Grant)
    assert LEAST_PRICE <= grant.price <= 70
    assert bodies_in(world, "holder", bodies.Counter)[0] == record.body


@pytest.mark.attack(66)
def test_bargaining_costs_a_users_share_for_it_reserves_and_settles_nothing(tmp_path: Path) -> None:
    world = haggling(tmp_path)
    world.members["holder"].party.shares = Shares(allowance=Allowance(log=Share(per_s=1, burst=100)))
    bid(world, 1, 30)
    bid(world, 2, 30)
    told = world.carry(1.0)
    assert [(one.reason, one.clause) for one in told if one.reason is Reason.BUDGET][:1] == [
        (Reason.BUDGET, "share.log")
    ]
