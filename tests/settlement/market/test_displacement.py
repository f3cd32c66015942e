"""A stronger tier displaces a weaker one: silent before the new window opens, and what is owed is owed until heard."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies, records
from settlement.chain.leaf import decode_leaf
from settlement.core.reasons import Reason, Refusal
from settlement.pair.debts import DEBT
from settlement.pair.table import HolderState, UserState
from settlement.records.endings import Compensation
from settlement.records.marketterms import TierTerms
from settlement.records.verdict import Verdict
from settlement.state.messages import Message, decode_message
from tests.settlement.market.test_counters import bodies_in
from tests.settlement.world import HOLDER_ACTIONS, LOWER, NS, RULE, TERMS, USER_ACTIONS, World, fix

EMERGENCY = TierTerms(tier=2, displaces=(3,), condition="emergency", notice_ns=NS, owed="multiple", amount=1_500_000)
PRICE = 7
OWED = 11
"""One and a half times 7, rounded up."""


def town(
    folder: Path,
    tiers: tuple[TierTerms, ...] | None = (EMERGENCY,),
    status_index: dict[str, int] | None = None,
    *,
    settled: bool = True,
) -> World:
    """A holder, alice with tier 3 and a settlement from 2 to 40 s, or asking for it, and rescue with tier 2."""
    rule = replace(RULE, classes=(replace(TERMS, tiers=tiers, currency="EUR"),))
    world = World(folder, rule=rule, status_index=status_index)
    world.chains["holder"] = (world.root, world.credential("holder", HOLDER_ACTIONS, tier=1))
    world.chains["alice"] = (world.root, world.credential("alice", USER_ACTIONS, tier=3))
    world.chains["rescue"] = (world.root, world.credential("rescue", USER_ACTIONS, tier=2))
    for name in world.chains:
        world.members[name] = world.member(name)
    fresh = bodies.Revocation(version=1, fresh_until_ns=fix(100).time.latest_ns, bits=bytes(4))
    for name in world.members if status_index else ():
        world.give("rescue", name, Message(record=world.by_authority(fresh, 0.0)).encoded(), 0.0)
    world.offer()
    world.carry(0.1)
    ask(world, "alice", 3, 1.0, 2, 40)
    if settled:
        assert world.carry(1.0) == []
    return world


def ask(
    world: World, user: str, tier: int, at_s: float, begins_s: int, ends_s: int, *, emergency: bool = False
) -> bytes:
    party = world.members[user].party
    offer = next(iter(party.user.offers.values()))
    window = replace(offer.body.cell.window, start_ns=fix(begins_s).time.middle_ns, end_ns=fix(ends_s).time.middle_ns)
    cell = replace(offer.body.cell, band=LOWER, window=window)

    def act(step: Any) -> bytes:
        return party.user.request(step, offer, cell, eirp_mdbm=20_000, tier=tier, emergency=emergency).sid

    sid: bytes = world.do(user, at_s, act)
    return sid


@pytest.mark.feature("A1")
def test_the_displaced_is_told_silenced_and_owed_and_says_that_it_heard(tmp_path: Path) -> None:
    world = town(tmp_path)
    sid = ask(world, "rescue", 2, 10.0, 15, 30, emergency=True)
    assert world.carry(10.0) == []
    holder, alice, rescue = (world.members[name].party for name in ("holder", "alice", "rescue"))
    (preempt,) = bodies_in(world, "alice", bodies.Preempt)
    (owed,) = bodies_in(world, "alice", Compensation)
    assert (owed.amount, owed.currency, owed.to) == (OWED, "EUR", world.members["alice"].hash)
    assert (preempt.owed, preempt.tier, preempt.by) == (OWED, 2, owed.request)
    record = holder.record_of(preempt.compensation)
    assert record is not None
    assert record.body == owed
    pair = rescue.user.by_sid(sid)
    assert pair is not None
    assert pair.state == UserState.SETTLED
    assert preempt.vacate_by_ns <= pair.cell.window.start_ns
    (lost,) = alice.user.pairs.values()
    assert lost.state == UserState.ENDED
    heard = [v for v in bodies_in(world, "holder", Verdict) if v.clause == "compensation.received"]
    assert [v.subject for v in heard] == [preempt.compensation]
    assert holder.holder.leases.debts.open == {}
    assert holder.lineage.items(DEBT) == []


def told_alice(world: World, typ: str) -> bytes:
    """The message with a record of that type that waits to leave the holder for alice."""
    waiting = [one.data for one in world.members["holder"].outgoing if one.to == world.members["alice"].hash]
    return next(data for data in waiting if typ_of(data) == typ)


def typ_of(data: bytes) -> str:
    message = decode_message(data)
    assert isinstance(message, Message)
    found = records.parse(message.record)
    assert isinstance(found, records.Unproven)
    return found.row.name


@pytest.mark.feature("A1")
def test_what_is_owed_counts_though_it_overtook_the_confirm(tmp_path: Path) -> None:
    world = town(tmp_path, settled=False)
    (asked,) = world.members["alice"].outgoing
    assert world.give("alice", "holder", asked.data, 1.0) is None
    assert world.give("holder", "alice", told_alice(world, "grant"), 1.0) is None
    (accept,) = (one for one in world.members["alice"].outgoing if typ_of(one.data) == "accept")
    world.members["holder"].outgoing = []
    assert world.give("alice", "holder", accept.data, 1.0) is None
    confirm = told_alice(world, "confirm")
    world.members["alice"].outgoing = []
    ask(world, "rescue", 2, 10.0, 15, 30, emergency=True)
    (asked,) = world.members["rescue"].outgoing
    assert world.give("rescue", "holder", asked.data, 10.0) is None
    owed, preempt = told_alice(world, "compensation"), told_alice(world, "preempt")
    early = world.give("holder", "alice", owed, 10.0)
    assert early is not None
    assert (early.reason, early.clause) == (Reason.UNKNOWN_SID, "compensation.sid")
    assert world.give("holder", "alice", confirm, 10.1) is None
    assert world.give("holder", "alice", preempt, 10.1) is None
    assert world.give("holder", "alice", owed, 10.2) is None
    assert [one.amount for one in bodies_in(world, "alice", Compensation)] == [OWED]
    world.carry(10.3)
    assert world.members["holder"].party.holder.leases.debts.open == {}


@pytest.mark.feature("A1")
@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_owed_is_said_again_until_it_is_heard(tmp_path: Path, restarts: bool) -> None:
    """Everything to alice is lost for a while, and the holder may restart in between."""
    world = town(tmp_path)
    ask(world, "rescue", 2, 10.0, 15, 30, emergency=True)
    (asked,) = world.members["rescue"].outgoing
    world.members["rescue"].outgoing = []
    assert world.give("rescue", "holder", asked.data, 10.0) is None
    world.members["holder"].outgoing = []
    if restarts:
        world.members["holder"].party.lineage.close()
        world.members["holder"] = world.member_again("holder")
    holder = world.members["holder"].party
    assert len(holder.holder.leases.debts.open) == 1
    assert holder.due(fix(11.0))
    world.do("holder", 11.0, holder.tick)
    world.carry(11.0)
    assert [one.amount for one in bodies_in(world, "alice", Compensation)] == [OWED]
    assert holder.holder.leases.debts.open == {}


@pytest.mark.feature("A1")
@pytest.mark.attack(41)
@pytest.mark.parametrize(
    ("tiers", "tier", "emergency", "begins_s", "reason", "clause"),
    [
        ((EMERGENCY,), 2, False, 15, Reason.TIER, "tier.condition"),
        ((EMERGENCY,), 3, True, 15, Reason.CONFLICT, "request.cell"),
        ((replace(EMERGENCY, displaces=(4,)),), 2, True, 15, Reason.TIER, "tier.displaces"),
        ((EMERGENCY,), 2, True, 11, Reason.TIER, "tier.notice"),
        (None, 2, True, 15, Reason.CONFLICT, "request.cell"),
        ((replace(EMERGENCY, levels=("emergency service",)),), 2, True, 15, Reason.TIER, "tier.level"),
    ],
)
def test_who_may_not_displace_is_refused_and_nobody_is_displaced(
    tmp_path: Path,
    tiers: tuple[TierTerms, ...] | None,
    tier: int,
    emergency: bool,
    begins_s: int,
    reason: Reason,
    clause: str,
) -> None:
    world = town(tmp_path, tiers)
    ask(world, "rescue", tier, 10.0, begins_s, 30, emergency=emergency)
    (refusal,) = world.carry(10.0)
    assert (refusal.reason, refusal.clause) == (reason, clause)
    assert refusal.measured
    assert refusal.required
    assert [pair.state for pair in world.members["holder"].party.holder.pairs.values()] == [HolderState.CONFIRMED]
    assert bodies_in(world, "holder", bodies.Preempt) == []


@pytest.mark.feature("A1")
def test_too_little_owed_is_on_the_displaced_users_record(tmp_path: Path) -> None:
    """The displacement holds all the same: what takes something away always does."""
    world = town(tmp_path)
    holder = world.members["holder"].party
    ((sid, pair),) = holder.holder.pairs.items()
    told = bodies.Preempt(
        sid=sid,
        confirm=pair.decision or b"",
        tier=2,
        reason="TIER",
        vacate_by_ns=fix(12).time.middle_ns,
        by=bytes(32),
        owed=OWED - 1,
    )
    raw = records.sign_record(world.members["holder"].key, world.frame("holder", at=fix(10.0)), told)
    assert world.give("holder", "alice", Message(record=raw).encoded(), 10.0) is None
    (said,) = [v for v in bodies_in(world, "alice", Verdict) if v.clause == "compensation.owed"]
    assert (said.reason, said.measured, said.required) == ("PRICE", str(OWED - 1), f">= {OWED}, by the rule")
    (lost,) = world.members["alice"].party.user.pairs.values()
    assert lost.state == UserState.ENDED


@pytest.mark.feature("A1")
def test_a_debt_of_anothers_is_refused(tmp_path: Path) -> None:
    world = town(tmp_path)
    ((sid, pair),) = world.members["holder"].party.holder.pairs.items()
    body = Compensation(
        sid=sid, confirm=pair.decision or b"", request=bytes(32), amount=5, to=world.members["rescue"].hash
    )
    raw = records.sign_record(world.members["holder"].key, world.frame("holder", at=fix(10.0)), body)
    refusal = world.give("holder", "alice", Message(record=raw).encoded(), 10.0)
    assert refusal is not None
    assert refusal.clause == "compensation.to"
    leaves = [decode_leaf(one) for one in world.members["alice"].party.lineage.bodies()]
    assert any(not isinstance(leaf, Refusal) and leaf.clause == "compensation.to" for leaf in leaves)
