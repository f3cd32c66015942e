"""Suspension and resumption of a transmit lease, through whole parties and the warden's own verification."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.gate import decide
from radio.permits import HeldPermit, Permits
from settlement.chain import bodies
from settlement.core.reasons import Reason, Refusal
from settlement.pair.grants import GRANTS, GrantEvent, GrantState, event_of, grant_state
from settlement.pair.grants import Held as GrantHeld
from settlement.pair.table import HolderState, UserState
from settlement.pair.transmit import RESEND_MAX_NS, RESEND_NS, pause_ns
from settlement.state.messages import Message
from sim.world.transmitter import ModelledTransmitter
from tests.settlement.world import LOWER, NETWORK, NS, RULE, World, fix, trio

WAITS = replace(RULE, classes=tuple(replace(terms, on_incumbent=1) for terms in RULE.classes))


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = trio(tmp_path, rule=WAITS)
    made.settle(start_s=2.0, end_s=30.0)
    return made


def incumbent(world: World, at_s: float, until_s: float) -> int:
    holder = world.members["holder"].party.holder
    count: int = world.do(
        "holder",
        at_s,
        lambda step: holder.preempt(
            step, LOWER, tier=1, reason="INCUMBENT", until_ns=fix(until_s).time.latest_ns, evidence=None
        ),
    )
    return count


def tick(world: World, *names: str, at_s: float) -> None:
    for name in names:
        world.do(name, at_s, world.members[name].party.tick)


def states(world: World) -> tuple[int, int]:
    (at_holder,) = world.members["holder"].party.holder.pairs.values()
    (at_user,) = world.members["alice"].party.user.pairs.values()
    return at_holder.state, at_user.state


def said(world: World, typ: str) -> list[Any]:
    """Bodies of the holder's own records of a type."""
    party = world.members["holder"].party
    found = [party.record_of(leaf) for leaf in _subjects(world, typ)]
    return [record.body for record in found if record is not None]


def _subjects(world: World, typ: str) -> list[bytes]:
    db = world.members["holder"].party.lineage._db
    return [bytes(row[0]) for row in db.execute("SELECT subject FROM leaf WHERE typ=? ORDER BY idx", (typ,))]


@pytest.mark.feature("S7")
@pytest.mark.feature("A1")
def test_an_incumbent_suspends_and_its_leaving_resumes(world: World) -> None:
    assert incumbent(world, 5.0, 12.0) == 1
    assert world.carry(5.0) == []
    assert states(world) == (HolderState.SUSPENDED, UserState.SUSPENDED)
    renewals = len(said(world, "renew"))
    for at_s in (6.0, 8.0, 11.0):
        tick(world, "holder", "alice", at_s=at_s)
        assert world.carry(at_s) == []
    assert len(said(world, "renew")) == renewals, "no RENEW while suspended"
    assert states(world) == (HolderState.SUSPENDED, UserState.SUSPENDED)
    tick(world, "holder", at_s=12.5)
    assert world.carry(12.5) == []
    assert states(world) == (HolderState.CONFIRMED, UserState.SETTLED)
    (suspend,), (resume,) = said(world, "suspend"), said(world, "resume")
    assert resume.fence > suspend.fence
    assert resume.number > suspend.number
    assert resume.transmit_until_ns == fix(12.5).time.earliest_ns + 3 * NS
    tick(world, "holder", at_s=14.5)
    assert world.carry(14.5) == []
    assert len(said(world, "renew")) == renewals + 1, "renewed as before"


@pytest.mark.feature("S7")
def test_where_the_class_does_not_say_so_an_incumbent_ends_it(tmp_path: Path) -> None:
    made = trio(tmp_path)
    made.settle()
    assert incumbent(made, 5.0, 12.0) == 1
    assert made.carry(5.0) == []
    assert states(made) == (HolderState.ENDED, UserState.ENDED)


@pytest.mark.feature("A1")
def test_a_higher_tier_ends_it_even_so(world: World) -> None:
    holder = world.members["holder"].party.holder
    until_ns = fix(9.0).time.latest_ns
    world.do(
        "holder",
        5.0,
        lambda step: holder.preempt(step, LOWER, tier=1, reason="PRIORITY", until_ns=until_ns, evidence=None),
    )
    world.carry(5.0)
    assert states(world) == (HolderState.ENDED, UserState.ENDED)


def test_the_cell_stays_reserved_while_suspended(world: World) -> None:
    incumbent(world, 5.0, 6.0)
    world.carry(5.0)
    world.request("bob", 6.5, LOWER, 7.0, 9.0)
    (refusal,) = world.carry(6.5)
    assert refusal.reason is Reason.CONFLICT


def test_a_lost_suspend_is_said_again_until_it_was_heard(world: World) -> None:
    incumbent(world, 5.0, 12.0)
    world.members["holder"].outgoing = []
    tick(world, "holder", at_s=5.1)
    assert not world.members["holder"].outgoing, "not at once"
    tick(world, "holder", at_s=5.4)
    assert len(world.members["holder"].outgoing) == 1
    assert world.carry(5.4) == []
    assert states(world) == (HolderState.SUSPENDED, UserState.SUSPENDED)
    tick(world, "holder", at_s=9.0)
    assert not world.members["holder"].outgoing, "the user said that it heard"
    assert len(said(world, "suspend")) == 1


def test_a_lost_resume_is_said_again_with_a_fresh_lease_where_the_old_ran_down(world: World) -> None:
    incumbent(world, 5.0, 8.0)
    world.carry(5.0)
    for at_s in (8.5, 9.0, 11.0):
        tick(world, "holder", at_s=at_s)
        world.members["holder"].outgoing = []
    assert states(world) == (HolderState.CONFIRMED, UserState.SUSPENDED)
    tick(world, "holder", at_s=12.0)
    assert world.carry(12.0) == []
    assert states(world) == (HolderState.CONFIRMED, UserState.SETTLED)
    assert len(said(world, "resume")) > 1
    assert not [r for r in said(world, "renew") if r.fence > said(world, "suspend")[0].fence]


def test_a_resume_that_overtakes_its_suspend_leaves_nothing_suspended(world: World) -> None:
    incumbent(world, 5.0, 5.1)
    (late,) = world.members["holder"].outgoing
    world.members["holder"].outgoing = []
    tick(world, "holder", at_s=5.2)
    assert world.carry(5.2) == []
    refusal = world.give("holder", "alice", late.data, 5.3)
    assert refusal is not None
    assert refusal.reason is Reason.FENCE
    assert states(world) == (HolderState.CONFIRMED, UserState.SETTLED)


def test_the_window_ends_a_suspended_settlement_on_both_sides(world: World) -> None:
    incumbent(world, 5.0, 99.0)
    world.carry(5.0)
    tick(world, "holder", "alice", at_s=30.5)
    assert states(world) == (HolderState.ENDED, UserState.ENDED)
    assert not said(world, "resume")


def test_a_suspended_settlement_can_be_given_back(world: World) -> None:
    incumbent(world, 5.0, 99.0)
    world.carry(5.0)
    (pair,) = world.members["alice"].party.user.pairs.values()
    world.do("alice", 6.0, lambda step: world.members["alice"].party.user.relinquish(step, pair.sid, "done"))
    assert world.carry(6.0) == []
    assert states(world) == (HolderState.ENDED, UserState.ENDED)


def test_it_is_suspended_still_after_a_restart_of_both(world: World) -> None:
    incumbent(world, 5.0, 12.0)
    world.carry(5.0)
    for name in ("holder", "alice"):
        world.members[name].party.lineage.close()
        world.members[name] = world.member_again(name)
    assert states(world) == (HolderState.SUSPENDED, UserState.SUSPENDED)
    tick(world, "holder", at_s=12.5)
    assert world.carry(12.5) == []
    assert states(world) == (HolderState.CONFIRMED, UserState.SETTLED)


def forged(world: World, at_s: float, body: Any) -> Reason | None:
    """Why alice refuses what her holder signs."""
    record = world.do("holder", at_s, lambda step: step.sign(body))
    refusal = world.give("holder", "alice", Message(record=record.raw).encoded(), at_s)
    return refusal.reason if refusal else None


@pytest.mark.attack(42)
def test_a_renew_below_the_fence_of_a_suspend_is_refused(world: World) -> None:
    (before,) = world.members["alice"].party.user.pairs.values()
    assert before.decision is not None
    incumbent(world, 5.0, 12.0)
    world.carry(5.0)
    (pair,) = world.members["alice"].party.user.pairs.values()
    renew = bodies.Renew(
        sid=pair.sid,
        confirm=before.decision,
        number=9,
        transmit_until_ns=fix(7.0).time.latest_ns,
        fence=pair.fence - 1,
    )
    assert forged(world, 5.1, renew) is Reason.FENCE
    assert forged(world, 5.2, replace(renew, fence=pair.fence)) is Reason.FENCE
    assert forged(world, 5.3, replace(renew, fence=pair.fence + 1)) is Reason.OUT_OF_ORDER
    resume = bodies.Resume(
        sid=pair.sid,
        confirm=before.decision,
        number=9,
        transmit_until_ns=pair.cell.window.end_ns + 1,
        fence=pair.fence + 1,
    )
    assert forged(world, 5.4, resume) is Reason.LEASE
    assert forged(world, 5.5, replace(resume, confirm=bytes(32))) is Reason.TERMS
    assert states(world)[1] == UserState.SUSPENDED


# -- the warden ------------------------------------------------------------------------------------------------------


def held(world: World) -> tuple[Permits, bytes]:
    (pair,) = world.members["alice"].party.user.pairs.values()
    artifact = world.members["alice"].party.lineage.get("artifact", pair.sid)
    assert artifact is not None
    permits = Permits(network=NETWORK, anchors=world.anchors)
    assert isinstance(permits.take(artifact), HeldPermit)
    return permits, pair.sid


def raws(world: World, typ: str) -> list[bytes]:
    party = world.members["holder"].party
    return [party.record_bytes(subject) or b"" for subject in _subjects(world, typ)]


@pytest.mark.feature("R6")
@pytest.mark.attack(42)
def test_the_warden_closes_at_a_suspend_and_opens_only_at_a_resume(world: World) -> None:
    permits, sid = held(world)
    transmitter = ModelledTransmitter("alice", world.members["alice"].hash, tuple(world.anchors))
    tick(world, "holder", at_s=4.0)
    incumbent(world, 4.2, 5.0)
    tick(world, "holder", at_s=5.5)
    (renew, *_), (suspend,), (resume,) = raws(world, "renew"), raws(world, "suspend"), raws(world, "resume")

    def reason(at_s: float) -> Reason | None:
        one = permits.get(sid)
        assert one is not None
        decision = decide(transmitter._inputs(0, fix(at_s), one))
        return decision.reason if isinstance(decision, Refusal) else None

    assert reason(4.1) is None
    closed = permits.change(suspend, sid, fix(4.3, trusted=False).time)
    assert isinstance(closed, HeldPermit), "whatever the clock says"
    assert reason(4.4) is Reason.SUSPENDED
    old = permits.change(renew, sid, fix(4.5).time)
    assert isinstance(old, Refusal)
    assert old.reason is Reason.FENCE
    assert reason(4.6) is Reason.SUSPENDED
    unsure = permits.change(resume, sid, fix(5.6, trusted=False).time)
    assert isinstance(unsure, Refusal)
    assert reason(5.6) is Reason.SUSPENDED
    assert isinstance(permits.change(resume, sid, fix(5.6).time), HeldPermit)
    assert reason(5.7) is None
    again = permits.change(suspend, sid, fix(5.8).time)
    assert isinstance(again, Refusal)
    assert again.reason is Reason.FENCE
    assert reason(5.9) is None


# -- the words of CBRS -----------------------------------------------------------------------------------------------


def grant(world: World) -> GrantHeld:
    (pair,) = world.members["alice"].party.user.pairs.values()
    return GrantHeld(
        in_force=pair.in_force,
        suspended=pair.state == UserState.SUSPENDED,
        window=pair.cell.window,
        transmit_until_ns=pair.transmit_until_ns,
    )


def test_idle_granted_authorized(world: World) -> None:
    state = grant_state(GrantState.IDLE, grant(world), fix(1.0).time)
    assert state is GrantState.GRANTED, "before its window"
    state = grant_state(state, grant(world), fix(3.0).time)
    assert state is GrantState.AUTHORIZED
    assert grant_state(state, grant(world), fix(3.0, trusted=False).time) is GrantState.GRANTED
    assert grant_state(state, grant(world), fix(5.5).time) is GrantState.GRANTED, "the lease is out"
    incumbent(world, 4.0, 6.0)
    world.carry(4.0)
    state = grant_state(state, grant(world), fix(4.1).time)
    assert state is GrantState.GRANTED
    tick(world, "holder", at_s=6.5)
    world.carry(6.5)
    state = grant_state(state, grant(world), fix(6.6).time)
    assert state is GrantState.AUTHORIZED
    tick(world, "alice", at_s=30.5)
    assert grant_state(state, grant(world), fix(30.6).time) is GrantState.IDLE


@pytest.mark.parametrize("state", GrantState)
@pytest.mark.parametrize("event", GrantEvent)
def test_a_grant_moves_by_its_table_alone(world: World, state: GrantState, event: GrantEvent) -> None:
    base, at = grant(world), 3.0
    facts = {
        GrantEvent.FRESH: (base, at),
        GrantEvent.LAPSED: (replace(base, transmit_until_ns=None), at),
        GrantEvent.SUSPENDED: (replace(base, suspended=True), at),
        GrantEvent.OVER: (replace(base, in_force=False), at),
    }
    if event is GrantEvent.SETTLED:
        return
    held_now, at_s = facts[event]
    assert event_of(held_now, fix(at_s).time) is event
    begun = GrantState.GRANTED if state is GrantState.IDLE and held_now.in_force else state
    assert grant_state(state, held_now, fix(at_s).time) is GRANTS.get((begun, event), begun)


def test_pauses_grow_within_bounds_and_nobody_is_in_step() -> None:
    first = pause_ns(0, 0, b"a")
    assert RESEND_NS <= first <= RESEND_NS * 17 // 16
    assert pause_ns(0, 8 * 3 * NS, b"a") >= 3 * NS
    assert RESEND_MAX_NS <= pause_ns(0, 10**15, b"a") <= RESEND_MAX_NS * 17 // 16
    assert len({pause_ns(0, 0, bytes([n])) for n in range(20)}) > 15
