"""The artifact verifies offline with the anchors alone, and no changed byte of it does."""

from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settlement.chain.codec import decode
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, VerifiedPermit, extend, verify
from settlement.pair.effects import HandLease
from tests.settlement.world import LOWER, NETWORK, NS, UPPER, World, trio


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, bytes]:
    world = trio(tmp_path_factory.mktemp("world"))
    return world, world.settle()


def verdict(world: World, data: bytes) -> VerifiedPermit | Refusal:
    return verify(data, network=NETWORK, anchors=world.anchors)


@pytest.mark.feature("S2")
def test_it_verifies_and_says_what_it_allows(settled: tuple[World, bytes]) -> None:
    world, artifact = settled
    permit = verdict(world, artifact)
    assert isinstance(permit, VerifiedPermit)
    assert permit.cell.band == LOWER
    assert (permit.holder.name, permit.user.name, permit.user.device) == ("holder", "alice", "device-alice")
    assert permit.max_eirp_mdbm == 20_000
    assert permit.transmit_until_ns == permit.cell.window.start_ns + 3 * NS


def test_every_single_changed_byte_is_refused(settled: tuple[World, bytes]) -> None:
    world, artifact = settled
    for at in range(len(artifact)):
        changed = artifact[:at] + bytes([artifact[at] ^ 0x01]) + artifact[at + 1 :]
        assert isinstance(verdict(world, changed), Refusal), at


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_splice_of_bytes_verifies(settled: tuple[World, bytes], data: st.DataObject) -> None:
    world, artifact = settled
    start = data.draw(st.integers(0, len(artifact) - 1))
    end = data.draw(st.integers(start, min(len(artifact), start + 64)))
    spliced = artifact[:start] + data.draw(st.binary(max_size=64)) + artifact[end:]
    if spliced != artifact:
        assert isinstance(verdict(world, spliced), Refusal)


def test_other_anchors_or_network_refuse(settled: tuple[World, bytes]) -> None:
    world, artifact = settled
    stranger = verify(artifact, network=NETWORK, anchors=[bytes(32)])
    assert isinstance(stranger, Refusal)
    assert stranger.reason is Reason.UNKNOWN_AUTHOR
    elsewhere = verify(artifact, network="other", anchors=world.anchors)
    assert isinstance(elsewhere, Refusal)
    assert elsewhere.reason is Reason.DOMAIN


def parts(artifact: bytes) -> dict[int, Any]:
    loaded: dict[int, Any] = cbor2.loads(artifact)
    return loaded


def test_parts_of_two_settlements_do_not_mix(tmp_path: Path) -> None:
    world = trio(tmp_path)
    first = world.settle()
    sid = world.request("bob", 1.2, UPPER, 2.0, 9.0)
    assert world.carry(1.2) == []
    second = world.members["bob"].party.lineage.get("artifact", sid)
    assert second is not None
    for key in (1, 2, 3, 5, 8):
        mixed = {**parts(first), key: parts(second)[key]}
        assert isinstance(verdict(world, cbor2.dumps(mixed)), Refusal), key


def test_without_proof_of_logging_there_is_no_permit(settled: tuple[World, bytes]) -> None:
    world, artifact = settled
    whole = decode(Artifact, artifact, "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(whole, Artifact)
    loaded = parts(artifact)
    changes: tuple[dict[int, Any], ...] = (
        {2: whole.proof.index + 1},
        {3: []},
        {4: "none"},
        {4: whole.proof.checkpoint.replace("\n", "\r\n")},
    )
    for change in changes:
        changed = {**loaded, 8: {**loaded[8], **change}}
        assert isinstance(verdict(world, cbor2.dumps(changed)), Refusal), change


def test_a_renewal_extends_only_its_own_permit(tmp_path: Path) -> None:
    world = trio(tmp_path)
    permit = verdict(world, world.settle())
    assert isinstance(permit, VerifiedPermit)
    world.do("holder", 3.6, world.members["holder"].party.tick)
    world.carry(3.6)
    (renewed,) = [e.record for e in world.members["alice"].effects if isinstance(e, HandLease)]
    longer = extend(permit, renewed, network=NETWORK, anchors=world.anchors)
    assert isinstance(longer, VerifiedPermit)
    assert permit.transmit_until_ns < longer.transmit_until_ns <= permit.cell.window.end_ns
    again = extend(longer, renewed, network=NETWORK, anchors=world.anchors)
    assert isinstance(again, Refusal)
    assert again.reason is Reason.FENCE
    broken = renewed[:-1] + bytes([renewed[-1] ^ 1])
    assert isinstance(extend(permit, broken, network=NETWORK, anchors=world.anchors), Refusal)
