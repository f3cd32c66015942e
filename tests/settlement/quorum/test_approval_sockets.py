"""Approval and coalition over real CURVE sockets: nobody carries a message but the mesh."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from settlement.mesh import Mesh, TransportKey
from settlement.pair.artifact import VerifiedPermit, verify
from settlement.pair.table import UserState
from tests.settlement.quorum.auctions import BIDDERS
from tests.settlement.quorum.test_approval import ApprovalWorld
from tests.settlement.quorum.test_coalition import SHORE, CoalitionWorld
from tests.settlement.world import LOWER, NETWORK

pytestmark = [pytest.mark.feature("S9"), pytest.mark.realtime]
TURNS_MAX, TURN_MS = 2000, 10


class Sockets:
    """The members of a world, each with a socket of its own on loopback."""

    def __init__(self, made: Callable[[], ApprovalWorld | CoalitionWorld], keys: dict[str, TransportKey]) -> None:
        self.world = made()
        known = {key.public for key in keys.values()}
        self.meshes = {name: Mesh(keys[name], "tcp://127.0.0.1:*", known.__contains__) for name in self.world.members}
        for name, mesh in self.meshes.items():
            for other, theirs in self.meshes.items():
                if other != name:
                    mesh.connect(keys[other].public, theirs.endpoint)
        self.poller = zmq.Poller()
        for mesh in self.meshes.values():
            for socket in mesh.sockets:
                self.poller.register(socket, zmq.POLLIN)

    def turn(self, at_s: float) -> bool:
        """Send what waits and take what came; False when nothing moved."""
        moved = False
        keys = {member.hash: member.transport for member in self.world.members.values()}
        for name, mesh in self.meshes.items():
            member = self.world.members[name]
            waiting, member.outgoing = member.outgoing, []
            for one in waiting:
                sent = mesh.send(keys[one.to], one.data)
                moved |= sent
                member.outgoing += [] if sent else [one]
            for arrived in mesh.receive():
                moved = True
                data, key = arrived.data, arrived.transport_key
                self.world.do(name, at_s, lambda s, m=member, d=data, k=key: m.party.receive(s, d, k))  # type: ignore[misc]
        return moved

    def until(self, condition: Callable[[], bool], at_s: float) -> bool:
        """Serve everybody until something holds; the sockets wake us."""
        for _ in range(TURNS_MAX):
            if condition():
                return True
            if not self.turn(at_s):
                self.poller.poll(TURN_MS)
        return False

    def tick(self, at_s: float) -> None:
        """Let time pass for everybody."""
        for name, member in self.world.members.items():
            self.world.do(name, at_s, member.party.tick)

    def close(self) -> None:
        """Let go of the sockets."""
        for mesh in self.meshes.values():
            mesh.close()


def keyed(cls: type[ApprovalWorld] | type[CoalitionWorld], keys: dict[str, TransportKey]) -> type:
    """The same world, whose members are known by the keys of their sockets."""

    def transport(_self: object, name: str) -> bytes:
        return keys[name].public

    return type(cls.__name__ + "OverSockets", (cls,), {"transport": transport})


@pytest.fixture(params=[ApprovalWorld, CoalitionWorld])
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sockets]:
    names = ("holder", "reg", *BIDDERS, *SHORE[1:])
    keys = {name: TransportKey.generate() for name in names}
    made = Sockets(lambda: keyed(request.param, keys)(tmp_path), keys)
    yield made
    made.close()


def test_a_request_is_approved_and_granted_in_messages_between_sockets(net: Sockets) -> None:
    world = net.world
    world.offer()
    ada, holder = world.members["ada"].party, world.members["holder"].party
    assert net.until(lambda: all(m.party.user.offers for n, m in world.members.items() if n != "holder"), 0.1)
    sid = world.request("ada", 1.0, LOWER, 3.0, 9.0)
    voters = [
        m for m in world.members.values() if any(one.credential == m.hash for one in world.members_list().members)
    ]
    assert net.until(lambda: all(m.party.assembly.states for m in voters), 1.0), "the PROPOSAL came to every member"
    assert holder.holder.busy == {}, "nothing is reserved before they voted"
    net.tick(1.1)
    (name,) = holder.assembly.states
    assert net.until(lambda: len(holder.lineage.items_from("ballot", name)) == len(voters), 1.1), "every vote came"
    net.tick(1.2)
    assert net.until(lambda: ada.lineage.get("artifact", sid) is not None, 1.2)
    pair = ada.user.by_sid(sid)
    assert pair is not None
    assert pair.state == UserState.SETTLED
    permit = verify(ada.lineage.get("artifact", sid) or b"", network=NETWORK, anchors=world.anchors)
    assert isinstance(permit, VerifiedPermit)
