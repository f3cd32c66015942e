"""Attacks on authority, wholly in bytes: a peer's message or a stranger's artifact in, the verdict out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest

from settlement.chain import bodies, cose, records
from settlement.chain.bodies import Revocation
from settlement.chain.credentials import Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Area, Band
from settlement.chain.status import bits_of
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import VerifiedPermit, verify
from settlement.state.messages import Message
from tests.settlement.world import (
    AREA,
    BAND,
    HOLDER_ACTIONS,
    LOWER,
    NETWORK,
    NS,
    T0,
    USER_ACTIONS,
    World,
    claims,
    fix,
    held,
    scope,
    seed,
    trio,
)

MIDDLE, LEAF = SigningKey.from_seed(seed("middle")), SigningKey.from_seed(seed("leaf"))


def middle(world: World, **changes: Any) -> tuple[bytes, Subject]:
    """An authority between the root and the leaf."""
    body = bodies.Credential(
        level="authority",
        scope=scope(("issue", *USER_ACTIONS), **{"depth": 1, "tier": 2, **changes}),
        status_index=5,
    )
    raw = issue(
        world.root_key, world.authority, body, claims(MIDDLE.public, "middle", "root"), network=NETWORK, fix=fix(-9)
    )
    registry = world.registry()
    return raw, held(registry.admit_chain([world.root, raw]))


def leaf(issuer: Subject, *, life: dict[str, int] | None = None, **changes: Any) -> bytes:
    body = bodies.Credential(
        level="operator",
        scope=scope(USER_ACTIONS, **{"tier": 2, **changes}),
        transport_key=seed("leaf-transport"),
        device="device-leaf",
    )
    named = claims(LEAF.public, "leaf", "middle", **(life or {}))
    return issue(MIDDLE, issuer, body, named, network=NETWORK, fix=fix(-8))


def offline(world: World, artifact: bytes, **parts: Any) -> Reason | None:
    """An artifact with some of its parts exchanged, verified by a stranger."""
    keys = {"accept": 2, "user_chain": 5}
    loaded = {**cbor2.loads(artifact), **{keys[name]: value for name, value in parts.items()}}
    outcome = verify(cbor2.dumps(loaded), network=NETWORK, anchors=world.anchors)
    assert isinstance(outcome, VerifiedPermit | Refusal)
    return outcome.reason if isinstance(outcome, Refusal) else None


def told(world: World, sender: str, raw: bytes, at_s: float = 1.1) -> Reason | None:
    refusal = world.give(sender, "holder", Message(record=raw).encoded(), at_s)
    return refusal.reason if refusal else None


WIDER: dict[str, dict[str, Any]] = {
    "band": {"bands": (Band(low_hz=BAND.low_hz, high_hz=BAND.high_hz + 1),)},
    "area": {"area": Area(lat_e7=AREA.lat_e7, lon_e7=AREA.lon_e7, radius_mm=20_000_001)},
    "tier": {"tier": 1},
    "action": {"actions": ("grant",)},
    "eirp": {"max_eirp_mdbm": 30_001},
    "time": {"life": {"expires_s": T0 // NS + 3601}},
    "start": {"life": {"not_before_s": T0 // NS - 3601}},
}


@pytest.mark.feature("G3")
@pytest.mark.attack(14)
@pytest.mark.parametrize("axis", WIDER)
def test_an_artifact_whose_chain_widens(tmp_path: Path, axis: str) -> None:
    world = trio(tmp_path)
    artifact = world.settle()
    above, issuer = middle(world)
    changes = dict(WIDER[axis])
    if "actions" in changes:
        widened = replace(scope(USER_ACTIONS, tier=2), actions=changes.pop("actions"))
        body = bodies.Credential(level="operator", scope=widened, transport_key=bytes(32))
        raw = issue(MIDDLE, issuer, body, claims(LEAF.public, "leaf", "middle"), network=NETWORK, fix=fix(-8))
    else:
        raw = leaf(issuer, **changes)
    assert offline(world, artifact) is None
    assert offline(world, artifact, user_chain=[world.root, above, raw]) is Reason.SCOPE
    # The honest chain gets past its own checks and fails only where the ACCEPT turns out to be another's.
    honest = offline(world, artifact, user_chain=[world.root, above, leaf(issuer)])
    assert honest is Reason.UNKNOWN_AUTHOR


@pytest.mark.attack(15)
def test_a_name_proves_nothing_about_a_longer_one(tmp_path: Path) -> None:
    world = trio(tmp_path)
    artifact = world.settle()
    parent = {"classes": ("cbrs", "crypto")}
    root_scope = world.authority.scope
    assert "crypto" not in root_scope.classes
    body = bodies.Credential(level="authority", scope=scope(("issue", *USER_ACTIONS), depth=1, **parent))
    raw = issue(
        world.root_key, world.authority, body, claims(MIDDLE.public, "middle", "root"), network=NETWORK, fix=fix(-9)
    )
    assert offline(world, artifact, user_chain=[world.root, raw]) is Reason.SCOPE
    above, issuer = middle(world)
    longer = leaf(issuer, classes=("cbrs-currency",))
    assert offline(world, artifact, user_chain=[world.root, above, longer]) is Reason.SCOPE
    offer = next(iter(world.members["holder"].party.holder.offers))
    request = world.members["holder"].party.holder.pairs
    cell = next(iter(request.values())).cell
    for commodity in ("cbr", "cbrs2", "cbrscurrency"):
        asked = bodies.Request(
            declaration=offer, cell=cell, commodity=commodity, tier=2, eirp_mdbm=1, price=7, partial=0, nonce=bytes(16)
        )
        assert told(world, "bob", signed(world, "bob", asked)) is Reason.SCOPE


def signed(world: World, name: str, body: object, key: SigningKey | None = None, seq: int = 900) -> bytes:
    member = world.members[name]
    here = Attestation.of(fix(1.0))
    frame = Frame(network=NETWORK, author=member.hash, seq=seq, previous=bytes(32), attestation=here)
    return sign_record(key or member.key, frame, body)


@pytest.mark.feature("G1")
@pytest.mark.attack(16)
def test_a_credential_in_the_hands_of_another_key(tmp_path: Path) -> None:
    world = trio(tmp_path)
    artifact = world.settle()
    (pair,) = world.members["alice"].party.user.pairs.values()
    assert pair.grant is not None
    accept = bodies.Accept(sid=pair.sid, grant=pair.grant, answer=bytes(32))
    by_bob = signed(world, "bob", accept)
    chain = [world.root, world.chains["bob"][1]]
    assert offline(world, artifact, accept=signed(world, "holder", accept)) is Reason.BINDING
    assert offline(world, artifact, accept=by_bob, user_chain=chain) is Reason.TERMS
    assert told(world, "bob", signed(world, "alice", accept, world.members["bob"].key)) is Reason.KEY
    forged = replace(world.members["bob"].key, kid=world.members["alice"].key.kid)
    assert told(world, "bob", signed(world, "alice", accept, forged)) is Reason.SIGNATURE


@pytest.mark.feature("G8")
@pytest.mark.attack(18)
def test_an_issuer_in_the_middle_is_revoked_by_a_message(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.enrol(holder=HOLDER_ACTIONS, bob=USER_ACTIONS)
    above, issuer = middle(world)
    world.chains["leaf"] = (world.root, above, leaf(issuer))  # type: ignore[assignment]
    for name in ("holder", "bob", "leaf"):
        if name in world.members:
            world.members[name].party.lineage.close()
        world.members[name] = world.member_again(name)
    leaf_party = world.members["leaf"].party
    leaf_party.identity = replace(leaf_party.identity, credential=records.digest(world.chains["leaf"][-1]))

    def ask(seq: int, at_s: float) -> Reason | None:
        here = Attestation.of(fix(at_s))
        author = leaf_party.identity.credential
        frame = Frame(network=NETWORK, author=author, seq=seq, previous=bytes(32), attestation=here)
        offer = next(iter(world.members["holder"].party.holder.offers))
        cell = world.members["holder"].party.holder.offers[offer].cell
        asked = bodies.Request(
            declaration=offer,
            cell=replace(cell, band=LOWER),
            commodity="cbrs",
            tier=2,
            eirp_mdbm=1,
            price=7,
            partial=0,
            nonce=bytes([seq]) * 16,
        )
        raw = sign_record(LEAF, frame, asked)
        party = world.members["holder"].party
        data, transport = Message(record=raw).encoded(), seed("leaf-transport")
        refusal = world.do("holder", at_s, lambda step: party.receive(step, data, transport))
        return refusal.reason if refusal else None

    world.offer()
    for member in world.members.values():
        member.outgoing = []
    assert ask(1, 0.5) is Reason.STATUS_UNKNOWN
    for version, revoked, expected in ((1, (), None), (2, (5,), Reason.REVOKED)):
        body = Revocation(version=version, fresh_until_ns=T0 + 100 * NS, bits=bits_of(revoked, 32))
        assert told(world, "bob", world.by_authority(body, 0.5 + version / 10), 0.95 + version / 10) is None
        assert ask(10 + version, 1.0 + version / 10) is expected


FIELD = 2**255 - 19
POINTS = {
    "order 4": (0).to_bytes(32, "little"),
    "order 1": (1).to_bytes(32, "little"),
    "order 2": (FIELD - 1).to_bytes(32, "little"),
    "order 1, not reduced": (FIELD + 1).to_bytes(32, "little"),
    "not reduced": (FIELD + 3).to_bytes(32, "little"),
    "a sign on zero": (1 | 1 << 255).to_bytes(32, "little"),
}


@pytest.mark.attack(10)
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS.keys())
def test_a_credential_for_a_key_that_is_none(tmp_path: Path, point: bytes) -> None:
    world = trio(tmp_path)
    artifact = world.settle()
    raw = world.chains["alice"][1]
    header = cbor2.loads(cbor2.loads(raw).value[0])
    header[15][8] = {1: {1: 1, -1: 6, -2: point}}
    header.pop(1)
    low = cose.sign(world.root_key, cbor2.loads(raw).value[2], records.aad(NETWORK), header)
    assert offline(world, artifact, user_chain=[world.root, low]) is Reason.KEY
