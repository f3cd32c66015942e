"""Tests of a step's effects: each has its cause, undone ones vanish, no transition is illegal."""

from pathlib import Path
from typing import Any

import pytest

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import verify
from settlement.pair.effects import HandLease, HandPermit, RequestProgress, SettlementNews, WithdrawPermit
from settlement.pair.holder import HolderPair
from settlement.pair.holderpairs import HolderPairs
from settlement.pair.table import HOLDER, USER, Event, HolderState, IllegalMoveError, UserState
from settlement.pair.userpairs import UserPair, UserPairs
from settlement.state import nodestate
from settlement.state.step import NotEntitledError, Step
from tests.settlement.world import LOWER, NETWORK, World, fix, trio

pytestmark = pytest.mark.feature("A1")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def asked(world: World, since: int = 0) -> list[Any]:
    return world.members["alice"].effects[since:]


def news(effects: list[Any]) -> list[SettlementNews]:
    return [effect.news for effect in effects if isinstance(effect, RequestProgress)]


def test_a_settlement_hands_over_its_permit_and_tells_every_step_of_the_way(world: World) -> None:
    artifact = world.settle()
    (permit,) = [effect for effect in asked(world) if isinstance(effect, HandPermit)]
    assert permit.artifact == artifact
    found = verify(permit.artifact, network=NETWORK, anchors=world.anchors)
    assert getattr(found, "sid", found) == permit.sid
    assert news(asked(world)) == [SettlementNews.REQUESTED, SettlementNews.ACCEPTED, SettlementNews.SETTLED]
    assert not world.members["holder"].effects, "the holder's own warden is asked for nothing"


def test_a_longer_lease_is_handed_over_as_it_was_signed(world: World) -> None:
    world.settle()
    seen = len(asked(world))
    world.do("holder", 4.0, world.members["holder"].party.tick)
    assert world.carry(4.0) == []
    (lease,) = [effect for effect in asked(world, seen) if isinstance(effect, HandLease)]
    party = world.members["alice"].party
    (pair,) = party.user.pairs.values()
    assert lease.record == party.record_bytes(pair.lease)
    assert news(asked(world, seen)) == [SettlementNews.RENEWED]


def test_who_is_displaced_has_its_permit_withdrawn(world: World) -> None:
    world.settle()
    seen, holder = len(asked(world)), world.members["holder"].party.holder
    until_ns = fix(60).time.latest_ns
    world.do(
        "holder",
        5.0,
        lambda step: holder.preempt(step, LOWER, tier=1, reason="INCUMBENT", until_ns=until_ns, evidence=None),
    )
    assert world.carry(5.0) == []
    (withdrawn,) = [effect for effect in asked(world, seen) if isinstance(effect, WithdrawPermit)]
    assert (withdrawn.reason, withdrawn.why) == (Reason.PREEMPTED, "by its holder: INCUMBENT")
    assert news(asked(world, seen)) == [SettlementNews.DISPLACED, SettlementNews.ENDED]


def test_the_end_of_a_window_withdraws_the_permit(world: World) -> None:
    world.settle(end_s=12.0)
    seen = len(asked(world))
    world.do("alice", 12.0, world.members["alice"].party.tick)
    (withdrawn,) = [effect for effect in asked(world, seen) if isinstance(effect, WithdrawPermit)]
    assert withdrawn.reason is Reason.EXPIRED
    assert news(asked(world, seen)) == [SettlementNews.ENDED]


def test_what_was_undone_asks_for_nothing(world: World) -> None:
    world.settle()
    party, seen = world.members["alice"].party, len(asked(world))
    (pair,) = party.user.pairs.values()

    def act(step: Step) -> None:
        def part() -> None:
            party.user.relinquish(step, pair.sid, "over")
            assert step.effects
            raise NotEntitledError(refuse(Reason.SCOPE, "own.test", "this", "another"))

        party.attempt(step, part)

    world.do("alice", 5.0, act)
    assert asked(world, seen) == []
    (pair,) = party.user.pairs.values()
    assert pair.state == UserState.SETTLED


def test_what_a_duty_may_not_sign_is_undone_and_comes_back_as_its_refusal(world: World) -> None:
    world.settle()
    party, seen = world.members["alice"].party, len(asked(world))
    (pair,) = party.user.pairs.values()
    found: list[object] = []
    sizes: list[int] = []

    def part(step: Step) -> None:
        party.user.relinquish(step, pair.sid, "over")
        assert party.lineage.size > sizes[0]
        raise NotEntitledError(refuse(Reason.SCOPE, "own.test", "this", "another"))

    def act(step: Step) -> None:
        sizes.append(party.lineage.size)
        for _ in range(2):  # a refusal is no failure that the duty would wait after
            found.append(party.duty(step, "test", lambda: part(step)))
            sizes.append(party.lineage.size)

    world.do("alice", 5.0, act)
    assert [one.clause for one in found if isinstance(one, Refusal)] == ["own.test"] * 2
    assert len(set(sizes)) == 1
    assert party.faults == 0
    assert asked(world, seen) == []
    (pair,) = party.user.pairs.values()
    assert pair.state == UserState.SETTLED


class Refusing:
    """A store that nothing may reach."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked of it")


@pytest.mark.parametrize("event", list(Event))
def test_a_move_that_no_table_has_is_an_error_and_changes_nothing(world: World, event: Event) -> None:
    world.settle()
    (held,) = world.members["holder"].party.holder.pairs.values()
    (asking,) = world.members["alice"].party.user.pairs.values()
    refusing: Any = Refusing()
    for state in HolderState:
        if (state, event) not in HOLDER:
            pairs = HolderPairs([], lambda _commodity: 0)
            with pytest.raises(IllegalMoveError, match=event.value):
                pairs.move(refusing, _in(held, state), event)
            assert not pairs.known
    for one in UserState:
        if (one, event) not in USER:
            users = UserPairs([])
            with pytest.raises(IllegalMoveError, match=event.value):
                users.move(refusing, _in(asking, one), event)
            assert not users.known


def _in(pair: Any, state: int) -> Any:
    kept = {name: getattr(pair, name) for name in (HolderPair if isinstance(pair, HolderPair) else UserPair).__slots__}
    return type(pair)(**{**kept, "state": state})


def test_a_logged_record_is_proven_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.settle()
    party = world.members["alice"].party
    (pair,) = party.user.pairs.values()
    party.lineage._memory.records.clear()
    proven: list[bytes] = []
    proving = nodestate.prove

    def counted(raw: bytes, *args: Any, **kwargs: Any) -> Any:
        proven.append(raw)
        return proving(raw, *args, **kwargs)

    monkeypatch.setattr(nodestate, "prove", counted)
    first = party.record_of(pair.grant)
    assert first is not None
    assert party.record_of(pair.grant, admitted=True) is first
    assert party.record_of(bytes(32)) is None
    assert len(proven) == 1


def test_a_refused_record_is_found_by_its_name_and_is_not_admitted(world: World) -> None:
    world.settle()
    world.request("bob", 2.0, LOWER, 3.0, 9.0)
    assert [one.reason for one in world.carry(2.0)] == [Reason.CONFLICT]
    party = world.members["holder"].party
    (refused,) = world.members["bob"].party.user.pairs
    assert party.record_of(refused) is not None
    assert party.record_of(refused, admitted=True) is None
