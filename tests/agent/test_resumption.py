"""What a node that starts again hands to its new warden: all that stands, and no more."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.node.resumption import in_force
from radio.permits import Permits
from settlement.core.reasons import Refusal
from tests.settlement.world import NETWORK, RULE, World, fix, trio


@pytest.fixture
def settled(tmp_path: Path) -> World:
    world = trio(tmp_path)
    world.settle()
    world.do("holder", 3.6, world.members["holder"].party.tick)
    world.carry(3.6)
    return world


@pytest.mark.feature("R5")
def test_what_stands_is_held_again_with_its_newest_lease(settled: World) -> None:
    party = settled.member_again("alice").party
    (standing,) = in_force(party)
    permits = Permits(network=NETWORK, anchors=settled.anchors)
    first = permits.take(standing.artifact)
    assert not isinstance(first, Refusal)
    before_ns = first.permit.transmit_until_ns
    assert standing.lease is not None
    assert not isinstance(permits.change(standing.lease, standing.sid, fix(3.7).time), Refusal)
    assert first.permit.transmit_until_ns > before_ns


def test_what_is_over_is_not(settled: World) -> None:
    alice = settled.members["alice"].party
    (pair,) = alice.user.pairs.values()
    settled.do("alice", 4.0, lambda step: alice.user.relinquish(step, pair.sid, "done"))
    assert list(in_force(settled.member_again("alice").party)) == []


@pytest.mark.feature("S7")
def test_nothing_is_handed_to_the_warden_before_the_neighbours_have_spoken_of_the_log(tmp_path: Path) -> None:
    """An older copy that somebody put back may lack that a lease was handed on: its user would radiate in it again."""
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=1))
    for name in world.members:
        world.do(name, 0.0, world.members[name].party.hello)
    world.carry(0.0)
    world.settle()
    world.members["alice"].party.lineage.close()
    world.members["alice"] = world.member_again("alice")
    party = world.members["alice"].party
    assert party.halted is not None
    assert list(in_force(party)) == []
    world.do("alice", 4.0, party.hello)
    world.carry(4.0)
    assert party.halted is None
    assert len(list(in_force(party))) == 1
