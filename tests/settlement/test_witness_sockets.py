"""Witnessing over real CURVE sockets: nobody carries a message but the mesh."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from settlement.mesh import TransportKey
from settlement.pair.artifact import VerifiedPermit, verify
from tests.settlement.meshed import Meshed
from tests.settlement.world import LOWER, NETWORK, RULE, UPPER, World, trio

QUORUM = 2


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Meshed[World]]:
    keys = {name: TransportKey.generate() for name in ("holder", "alice", "bob")}
    public = {name: key.public for name, key in keys.items()}
    made = Meshed(trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM), transports=public), keys)
    yield made
    made.close()


@pytest.mark.feature("G11")
@pytest.mark.attack(31)
@pytest.mark.attack(35)
def test_a_settlement_is_witnessed_by_a_quorum_over_sockets(net: Meshed[World]) -> None:
    world = net.world
    parties = {name: member.party for name, member in world.members.items()}
    assert all(party.halted is not None for party in parties.values())  # nobody signs before it has heard
    for name, party in parties.items():
        world.do(name, -6.0, party.hello)
    assert net.until(lambda: all(party.halted is None for party in parties.values()), -6.0)
    world.offer()
    assert net.until(lambda: parties["alice"].user.offers and parties["bob"].user.offers, 0.1)
    for user, band in (("alice", LOWER), ("bob", UPPER)):
        sid = world.request(user, 1.0, band, 2.0, 12.0)
        log = parties[user].lineage
        assert net.until(lambda log=log, sid=sid: log.get("artifact", sid) is not None, 1.0)  # type: ignore[misc]
        artifact = log.get("artifact", sid)
        assert artifact is not None
        permit = verify(artifact, network=NETWORK, anchors=world.anchors)
        assert isinstance(permit, VerifiedPermit)
