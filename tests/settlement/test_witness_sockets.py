"""Witnessing over real CURVE sockets: nobody carries a message but the mesh."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq

from settlement.mesh import Mesh, TransportKey
from settlement.pair.artifact import VerifiedPermit, verify
from tests.settlement.world import LOWER, NETWORK, RULE, UPPER, World, trio

QUORUM = 2
TURNS_MAX = 2000
TURN_MS = 10


class Meshed:
    """A world whose members speak over loopback."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        keys = {name: TransportKey.generate() for name in names}
        public = {name: key.public for name, key in keys.items()}
        self.world: World = trio(folder, rule=replace(RULE, witness_quorum=QUORUM), transports=public)
        known = set(public.values())
        self.meshes = {name: Mesh(key, "tcp://127.0.0.1:*", known.__contains__) for name, key in keys.items()}
        for name, mesh in self.meshes.items():
            for other in names:
                if other != name:
                    mesh.connect(public[other], self.meshes[other].endpoint)
        self.poller = zmq.Poller()
        for mesh in self.meshes.values():
            for socket in mesh.sockets:
                self.poller.register(socket, zmq.POLLIN)

    def turn(self, at_s: float) -> bool:
        """Hand over what waits and take what came; False when nothing moved."""
        moved = False
        keys = {member.hash: member.transport for member in self.world.members.values()}
        for name, mesh in self.meshes.items():
            member = self.world.members[name]
            waiting, member.outgoing = member.outgoing, []
            for message in waiting:
                if mesh.send(keys[message.to], message.data):
                    moved = True
                else:
                    member.outgoing.append(message)
            for arrived in mesh.receive():
                moved = True
                data, key = arrived.data, arrived.transport_key
                self.world.do(name, at_s, lambda s, m=member, d=data, k=key: m.party.receive(s, d, k))  # type: ignore[misc]
        return moved

    def until(self, condition: object, at_s: float) -> bool:
        """Serve everybody until something holds; the sockets wake us."""
        assert callable(condition)
        for _ in range(TURNS_MAX):
            if condition():
                return True
            if not self.turn(at_s):
                self.poller.poll(TURN_MS)
        return False


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Meshed]:
    made = Meshed(tmp_path, ("holder", "alice", "bob"))
    yield made
    for mesh in made.meshes.values():
        mesh.close()


@pytest.mark.feature("G11")
@pytest.mark.attack(31)
@pytest.mark.attack(35)
def test_a_settlement_is_witnessed_by_a_quorum_over_sockets(net: Meshed) -> None:
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
