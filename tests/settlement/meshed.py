"""Members of a test world that communicate over real CURVE sockets on loopback."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import zmq

from settlement.mesh import Mesh, TransportKey
from tests.settlement.world import World

W = TypeVar("W", bound=World)
TURNS_MAX, TURN_MS = 2000, 10


class Meshed(Generic[W]):
    """A world in which each member has a socket of its own, known to the others by its key."""

    def __init__(self, world: W, keys: Mapping[str, TransportKey]) -> None:
        self.world = world
        known = {key.public for key in keys.values()}
        self.meshes = {name: Mesh(keys[name], "tcp://127.0.0.1:*", known.__contains__) for name in world.members}
        for name, mesh in self.meshes.items():
            for other, theirs in self.meshes.items():
                if other != name:
                    mesh.connect(keys[other].public, theirs.endpoint)
        self.poller = zmq.Poller()
        for mesh in self.meshes.values():
            for socket in mesh.sockets:
                self.poller.register(socket, zmq.POLLIN)

    def turn(self, at_s: float) -> bool:
        """Send waiting messages and take those received; returns False when there were none."""
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

    def until(self, condition: Callable[[], object], at_s: float) -> bool:
        """Serve all members until a condition holds; the sockets end each wait."""
        for _ in range(TURNS_MAX):
            if condition():
                return True
            if not self.turn(at_s):
                self.poller.poll(TURN_MS)
        return False

    def tick(self, at_s: float) -> None:
        """Let time pass for all members."""
        for name, member in self.world.members.items():
            self.world.do(name, at_s, member.party.tick)

    def close(self) -> None:
        """Close the sockets."""
        for mesh in self.meshes.values():
            mesh.close()
