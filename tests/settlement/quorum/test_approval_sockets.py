"""Approval and coalition over real CURVE sockets: nobody carries a message but the mesh."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement.mesh import TransportKey
from settlement.pair.artifact import VerifiedPermit, verify
from settlement.pair.table import UserState
from tests.settlement.meshed import Meshed
from tests.settlement.quorum.auctions import BIDDERS
from tests.settlement.quorum.test_approval import ApprovalWorld
from tests.settlement.quorum.test_coalition import SHORE, CoalitionWorld
from tests.settlement.world import LOWER, NETWORK

pytestmark = [pytest.mark.feature("S9"), pytest.mark.realtime]
Net = Meshed[ApprovalWorld | CoalitionWorld]


def keyed(cls: type[ApprovalWorld] | type[CoalitionWorld], keys: dict[str, TransportKey]) -> type:
    """The same world, whose members are known by the keys of their sockets."""

    def transport(_self: object, name: str) -> bytes:
        return keys[name].public

    return type(cls.__name__ + "OverSockets", (cls,), {"transport": transport})


@pytest.fixture(params=[ApprovalWorld, CoalitionWorld])
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Net]:
    names = ("holder", "reg", *BIDDERS, *SHORE[1:])
    keys = {name: TransportKey.generate() for name in names}
    made = Meshed(keyed(request.param, keys)(tmp_path), keys)
    yield made
    made.close()


def test_a_request_is_approved_and_granted_in_messages_between_sockets(net: Net) -> None:
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
