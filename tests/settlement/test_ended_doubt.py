"""Tests that waiting for a party that can no longer answer ends, with its reason, and frees no cell."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.core.reasons import Reason
from settlement.pair.debts import DEBT
from settlement.pair.effects import HandPermit
from settlement.pair.table import HolderState, UserState
from settlement.pair.userpairs import UserPair
from settlement.state.messages import decode_message
from settlement.state.witness import ROUND, WAITING
from tests.settlement.market.test_displacement import ask, town
from tests.settlement.test_revocation import status_list, tell
from tests.settlement.world import RULE, World, fix, trio

HOLDER, ALICE = 5, 3
REVOKED_HOLDER, NOBODY = (HOLDER,), ()


def doubtful(folder: Path) -> tuple[World, bytes, bytes]:
    """Alice has accepted, her window ends at 9 s; returns the world, her settlement's id and her ACCEPT."""
    world = trio(folder, status_index={"holder": HOLDER})
    for name in ("alice", "bob"):
        assert tell(world, status_list(world), 0.0, to=name, by="holder") is None
    for member in world.members.values():
        member.outgoing = []
    sid, accept = world.in_doubt()
    return world, sid, accept


def pair_of(world: World, sid: bytes) -> UserPair:
    pair = world.members["alice"].party.user.by_sid(sid)
    assert pair is not None
    return pair


def tick(world: World, at_s: float) -> list[bytes]:
    """Let time pass for alice; what she says again."""
    world.members["alice"].outgoing = []
    world.do("alice", at_s, world.members["alice"].party.tick)
    return [out.data for out in world.members["alice"].outgoing]


def said(world: World, what: str) -> list[dict[str, Any]]:
    return [notice.fields for notice in world.members["alice"].notices if notice.name == what]


@pytest.mark.feature("G8")
@pytest.mark.feature("S7")
def test_a_doubt_ends_when_its_holder_is_revoked(tmp_path: Path) -> None:
    world, sid, accept = doubtful(tmp_path)
    assert tick(world, 1.9) == [accept]
    assert world.give("alice", "holder", accept, 1.95) is None
    assert tell(world, status_list(world, *REVOKED_HOLDER, version=2, at_s=2.0), 2.0, to="alice") is None
    assert tick(world, 3.0) == []
    pair = pair_of(world, sid)
    assert (pair.state, pair.ended, pair.last, pair.decision) == (UserState.ABORTED, "REVOKED", b"", None)
    (told,) = said(world, "aborted")
    assert (told["reason"], told["clause"], told["measured"]) == ("REVOKED", "status.revoked", "holder")
    # The CONFIRM that was under way allows nothing, and the holder keeps the cell that it confirmed.
    confirm = next(out.data for out in world.members["holder"].outgoing if out.to == world.members["alice"].hash)
    refusal = world.give("holder", "alice", confirm, 3.1)
    assert refusal is not None
    assert refusal.reason is Reason.REVOKED
    assert not [one for one in world.members["alice"].effects if isinstance(one, HandPermit)]
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.CONFIRMED


@pytest.mark.feature("S7")
@pytest.mark.parametrize("revoked", [False, True])
def test_a_list_that_is_old_ends_no_doubt_but_one_that_says_revoked_does(tmp_path: Path, revoked: bool) -> None:
    """Whether the holder is revoked cannot be told by an old list, and a fresh one may still come."""
    world, sid, accept = doubtful(tmp_path)
    fresh = status_list(world, *(REVOKED_HOLDER if revoked else NOBODY), version=2, at_s=1.2, fresh_s=1.5)
    assert tell(world, fresh, 1.2, to="alice") is None
    assert tick(world, 3.0) == ([] if revoked else [accept])
    assert pair_of(world, sid).state == (UserState.ABORTED if revoked else UserState.ACCEPTED)


@pytest.mark.feature("S7")
def test_a_doubt_ends_with_its_window(tmp_path: Path) -> None:
    """The holder is silent for ever; until the window is surely over its CONFIRM may still come, and counts."""
    world, sid, accept = doubtful(tmp_path)
    assert tick(world, 9.0) == [accept]
    assert pair_of(world, sid).state == UserState.ACCEPTED
    assert tick(world, 9.1) == []
    pair = pair_of(world, sid)
    assert (pair.state, pair.ended, pair.last) == (UserState.ABORTED, "TIMEOUT", b"")
    (told,) = said(world, "aborted")
    assert (told["reason"], told["clause"]) == ("TIMEOUT", "decision.window")
    tick(world, 9.2)
    alice = world.members["alice"].party
    assert alice.user.busy == {}
    assert alice.next_due_ns() is None


@pytest.mark.feature("S7")
def test_a_decision_that_comes_late_but_in_its_window_still_settles(tmp_path: Path) -> None:
    world, sid, accept = doubtful(tmp_path)
    assert world.give("alice", "holder", accept, 1.1) is None
    (confirm,) = [out.data for out in world.members["holder"].outgoing if decode_message(out.data).record]  # type: ignore[union-attr]
    tick(world, 8.5)
    assert world.give("holder", "alice", confirm, 8.6) is None
    assert pair_of(world, sid).state == UserState.SETTLED


@pytest.mark.feature("A1")
@pytest.mark.parametrize("revoked", [False, True])
def test_what_is_owed_to_a_revoked_party_stays_on_record_and_is_not_said_for_ever(
    tmp_path: Path, revoked: bool
) -> None:
    world = town(tmp_path, status_index={"alice": ALICE})
    ask(world, "rescue", 2, 10.0, 15, 30, emergency=True)
    (asked,) = world.members["rescue"].outgoing
    world.members["rescue"].outgoing = []
    assert world.give("rescue", "holder", asked.data, 10.0) is None
    holder = world.members["holder"].party
    (owed,) = holder.holder.leases.debts.open
    raw = status_list(world, *((ALICE,) if revoked else NOBODY), version=2, at_s=10.5, fresh_s=10.9)
    assert tell(world, raw, 10.5, by="rescue") is None
    world.members["holder"].outgoing = []
    world.do("holder", 12.0, holder.tick)
    again = [m.record for out in world.members["holder"].outgoing if (m := decode_message(out.data)).record]  # type: ignore[union-attr]
    assert (holder.record_bytes(owed) in again) is not revoked
    assert (owed in holder.holder.leases.debts.open) is not revoked
    assert [key for key, _ in holder.lineage.items(DEBT)] == ([] if revoked else [owed])
    assert holder.record_of(owed, admitted=True) is not None
    told = [one.fields["reason"] for one in world.members["holder"].notices if one.name == "not heard"]
    assert told == (["REVOKED"] if revoked else [])


@pytest.mark.feature("S7")
def test_witnesses_that_are_gone_are_not_asked_for_ever(tmp_path: Path) -> None:
    """Nobody cosigns; until the window is over a cosignature may still come, and the CONFIRM leaves then."""
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=2))
    for name in world.members:
        world.do(name, -6.0, world.members[name].party.hello)
    world.carry(-6.0)
    sid, accept = world.in_doubt()
    holder = world.members["holder"].party
    assert world.give("alice", "holder", accept, 1.1) is None
    for at_s, asked in ((5.0, True), (8.9, True), (9.2, False), (12.0, False)):
        world.members["holder"].outgoing = []
        world.do("holder", at_s, holder.tick)
        assert bool(world.members["holder"].outgoing) is asked, at_s
    assert holder.lineage.items(WAITING) == []
    assert holder.lineage.items(ROUND) == []
    assert [one.name for one in world.members["holder"].notices].count("not witnessed") == 1
    assert not holder.due(fix(13.0))
    assert tick(world, 9.2) == []
    assert pair_of(world, sid).ended == "TIMEOUT"
