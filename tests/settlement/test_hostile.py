"""What a credentialed peer may try, and what bad luck may do: one node's fault never becomes another's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.codec import decode, encode
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Band
from settlement.core.fixes import Fix
from settlement.core.reasons import Reason, Refusal, RefusedError
from settlement.pair.holder import OPEN_MAX, GrantableRequest, Holder, HolderPair
from settlement.pair.table import HolderState, UserState
from settlement.pair.work import Work
from settlement.state.messages import Message
from settlement.state.step import Step
from tests.settlement.world import LOWER, NETWORK, UPPER, World, fix, trio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def test_a_fault_over_one_message_costs_that_message_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.offer()
    world.carry(0.1)
    sid = world.request("alice", 1.0, LOWER, 3.0, 9.0)
    world.request("bob", 1.0, UPPER, 3.0, 9.0)
    holder = world.members["holder"].party
    grant = Holder.grant

    def breaks_for_alice(self: Holder, work: Work, asked: GrantableRequest, *rest: Any) -> HolderPair:
        if asked.admitted.author.name == "alice":
            raise ZeroDivisionError
        return grant(self, work, asked, *rest)

    monkeypatch.setattr(Holder, "grant", breaks_for_alice)
    messages = [(n, world.members[n].outgoing.pop()) for n in ("alice", "bob")]
    refusals: list[Refusal | None] = []

    def both(step: Step) -> None:
        for name, outgoing in messages:
            refusals.append(holder.receive(step, outgoing.data, world.members[name].transport))

    world.do("holder", 1.0, both)
    assert [r.reason if r else None for r in refusals] == [Reason.FAULT, None]
    assert sid not in holder.holder.pairs
    assert len(holder.holder.pairs) == 1


@pytest.mark.parametrize(("lat_e7", "lon_e7"), [(900_000_001, 0), (-900_000_001, 0), (0, 1_800_000_001)])
def test_coordinates_off_the_globe_are_malformed(lat_e7: int, lon_e7: int) -> None:
    here = Attestation.of(fix(0))
    assert decode(Attestation, encode(here), "here") == here
    with pytest.raises(RefusedError, match="MALFORMED"):
        encode(replace(here, lat_e7=lat_e7, lon_e7=lon_e7))


def test_a_long_reason_in_a_preempt_still_ends_the_settlement(world: World) -> None:
    world.settle()
    holder = world.members["holder"].party
    until = fix(60).time.latest_ns
    world.do(
        "holder",
        5.0,
        lambda s: holder.holder.preempt(s, LOWER, tier=1, reason="X" * 64, until_ns=until, evidence=None),
    )
    assert world.carry(5.0) == []
    (pair,) = world.members["alice"].party.user.pairs.values()
    assert pair.state == UserState.ENDED


def test_an_honest_record_cannot_be_poisoned_by_who_brings_it_first(world: World) -> None:
    world.offer()
    to_alice = next(o for o in world.members["holder"].outgoing if o.to == world.members["alice"].hash)
    early = world.give("bob", "alice", to_alice.data, 0.1)
    assert early is not None
    assert early.reason is Reason.TRANSPORT_BINDING
    assert world.give("holder", "alice", to_alice.data, 0.2) is None
    assert len(world.members["alice"].party.user.offers) == 1


@pytest.mark.feature("S7")
def test_a_confirm_lost_for_longer_than_records_live_still_arrives(world: World) -> None:
    sid, accept = world.in_doubt(200.0)
    assert world.give("alice", "holder", accept, 1.1) is None
    world.members["holder"].outgoing = []
    refusal = world.give("alice", "holder", accept, 60.0)
    assert refusal is not None
    (answer,) = world.members["holder"].outgoing
    world.members["holder"].outgoing = []
    assert world.give("holder", "alice", answer.data, 60.1) is None
    pair = world.members["alice"].party.user.by_sid(sid)
    assert pair is not None
    assert pair.state == UserState.SETTLED


@pytest.mark.attack(36)
def test_an_accept_refused_for_a_moment_of_doubt_counts_when_it_comes_again(world: World) -> None:
    _, accept = world.in_doubt(200.0)
    holder = world.members["holder"].party
    with holder.step(fix(1.1, trusted=False)) as step:
        refusal = holder.receive(step, accept, world.members["alice"].transport)
    assert refusal is not None
    assert refusal.reason is Reason.TIME_UNTRUSTED
    assert world.give("alice", "holder", accept, 1.3) is None


def preempt(world: World, at_s: float, until_s: float) -> None:
    holder = world.members["holder"].party
    until = fix(until_s).time.latest_ns
    world.do(
        "holder",
        at_s,
        lambda s: holder.holder.preempt(s, LOWER, tier=1, reason="INCUMBENT", until_ns=until, evidence=None),
    )


@pytest.mark.feature("S7")
def test_a_lost_preempt_is_sent_again_and_the_cell_waits_for_the_lease(world: World) -> None:
    world.settle(end_s=100.0)
    holder = world.members["holder"].party
    preempt(world, 2.5, 2.6)
    (lost,) = world.members["holder"].outgoing
    world.members["holder"].outgoing = []
    world.request("bob", 3.5, LOWER, 3.0, 9.0)
    (refusal,) = world.carry(3.5)
    assert refusal.reason is Reason.CONFLICT
    world.do("holder", 3.6, holder.tick)
    again = [o.data for o in world.members["holder"].outgoing]
    assert lost.data in again
    assert world.carry(3.6) == []
    assert next(iter(world.members["alice"].party.user.pairs.values())).state == UserState.ENDED
    world.do("holder", 5.2, holder.tick)
    world.request("bob", 5.3, LOWER, 6.0, 9.0)
    assert world.carry(5.3) == []


def test_relinquish_frees_the_cell_only_when_the_lease_is_over(world: World) -> None:
    world.settle(end_s=100.0)
    alice = world.members["alice"].party
    (pair,) = alice.user.pairs.values()
    world.do("alice", 2.5, lambda s: alice.user.relinquish(s, pair.sid, "done"))
    assert world.carry(2.5) == []
    world.request("bob", 3.0, LOWER, 3.0, 9.0)
    (refusal,) = world.carry(3.0)
    assert refusal.reason is Reason.CONFLICT
    world.request("bob", 5.1, LOWER, 6.0, 9.0)
    assert world.carry(5.1) == []


def test_a_protected_band_is_remembered_over_a_restart(world: World) -> None:
    world.offer()
    world.carry(0.1)
    preempt(world, 1.0, 60.0)
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member("holder")
    world.request("bob", 2.0, LOWER, 3.0, 9.0)
    (refusal,) = world.carry(2.0)
    assert refusal.reason is Reason.INCUMBENT


def test_a_moment_without_a_clock_ends_nothing(world: World) -> None:
    world.settle()
    alice = world.members["alice"].party
    with alice.step(fix(3.0, trusted=False)) as step:
        assert alice.tick(step) == []
    assert next(iter(alice.user.pairs.values())).state == UserState.SETTLED


@pytest.mark.attack(40)
def test_one_user_cannot_tie_up_a_holder(world: World) -> None:
    world.offer()
    world.carry(0.1)
    reasons = []
    for number in range(OPEN_MAX + 2):
        world.request("alice", 1.0, LOWER, 10.0 + number, 10.5 + number)
        outgoing, world.members["alice"].outgoing = world.members["alice"].outgoing, []
        refusal = world.give("alice", "holder", outgoing[0].data, 1.0)
        reasons.append(refusal.reason if refusal else None)
    assert reasons == [None] * OPEN_MAX + [Reason.BUDGET] * 2
    holder = world.members["holder"].party
    world.do("holder", 3.0, holder.tick)
    assert all(pair.state == HolderState.ABORTED for pair in holder.holder.pairs.values())


def test_evidence_that_proves_nothing_is_refused(world: World) -> None:
    here: Fix = fix(1.0)
    body = bodies.Evidence(reason="EQUIVOCATION", first=b"noise", second=b"other noise")
    frame = Frame(
        network=NETWORK, author=world.members["bob"].hash, seq=900, previous=bytes(32), attestation=Attestation.of(here)
    )
    raw = sign_record(world.members["bob"].key, frame, body)
    refusal = world.give("bob", "alice", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert refusal.reason is Reason.PROOF


def test_an_empty_band_or_window_is_never_granted(world: World) -> None:
    world.offer()
    world.carry(0.1)
    world.request("alice", 1.0, Band(low_hz=LOWER.high_hz, high_hz=LOWER.low_hz), 3.0, 9.0, honest=False)
    world.request("alice", 1.0, LOWER, 9.0, 9.0, honest=False)
    refusals = world.carry(1.0)
    assert len(refusals) == 2
    assert not world.members["holder"].party.holder.pairs
