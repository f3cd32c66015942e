"""Transfer and sublease, end to end between parties."""

from pathlib import Path

import pytest

from settlement.pair.artifact import VerifiedPermit, verify
from settlement.pair.table import HolderState, UserState
from settlement.records.handingterms import SUBLEASE, TRANSFER
from tests.settlement.handing.scene import PART, Scene
from tests.settlement.world import LOWER, NETWORK

pytestmark = pytest.mark.feature("M10")


@pytest.mark.parametrize("kind", [SUBLEASE, TRANSFER])
def test_a_lease_changes_hands_and_its_chain_verifies_offline(tmp_path: Path, kind: str) -> None:
    scene = Scene(tmp_path)
    sid = scene.settle(kind=kind)
    permit = verify(scene.artifact(sid), network=NETWORK, anchors=scene.world.anchors)
    assert isinstance(permit, VerifiedPermit), permit
    assert permit.user.hash == scene.hash("bob")
    assert permit.holder.hash == scene.hash("alice")
    assert permit.depth == 1
    assert permit.parent is not None
    assert (permit.parent.sid, permit.parent.holder) == (scene.lease, scene.hash("holder"))
    assert permit.cell.band == (PART if kind == SUBLEASE else LOWER)
    assert permit.transmit_until_ns <= permit.parent.until_ns
    assert scene.party("alice").holder.pairs[sid].state == HolderState.CONFIRMED
    assert scene.party("bob").user.by_sid(sid).state == UserState.SETTLED
    assert len(scene.artifact(sid)) < 48 * 1024
    print(len(scene.artifact(sid)))
