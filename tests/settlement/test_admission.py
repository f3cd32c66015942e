"""Who may say what: the admission clauses through the public entry, bytes in, verdict out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest

from settlement.chain import bodies, cose, records
from settlement.chain.admission import Admitted, admit
from settlement.chain.credentials import Registry, Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import sign_record
from settlement.chain.scope import Area, Band, wider_than
from settlement.core.fixes import Fix, PositionSource
from settlement.core.reasons import Reason, Refusal
from settlement.state.messages import Message
from tests.settlement.world import (
    AREA,
    BAND,
    LOWER,
    NETWORK,
    NS,
    T0,
    USER_ACTIONS,
    World,
    claims,
    fix,
    held,
    offered,
    scope,
    seed,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return offered(tmp_path)


def verdict(world: World, raw: bytes, sender: str = "alice") -> Refusal | None:
    return world.give(sender, "holder", Message(record=raw).encoded(), 1.0)


def reason(world: World, raw: bytes, sender: str = "alice") -> Reason | None:
    refusal = verdict(world, raw, sender)
    return refusal.reason if refusal else None


def test_an_honest_request_is_admitted(world: World) -> None:
    raw = sign_record(world.members["alice"].key, world.frame(), world.asked())
    assert reason(world, raw) is None


@pytest.mark.attack(9)
def test_kid_of_another_key(world: World) -> None:
    raw = sign_record(world.members["bob"].key, world.frame(), world.asked())
    assert reason(world, raw) is Reason.KEY


@pytest.mark.feature("G1")
def test_forged_in_anothers_name(world: World) -> None:
    key = replace(world.members["bob"].key, kid=world.members["alice"].key.kid)
    assert reason(world, sign_record(key, world.frame(), world.asked())) is Reason.SIGNATURE


@pytest.mark.attack(11)
def test_grant_bytes_sent_back_as_an_accept(world: World) -> None:
    world.request("bob", 1.0, LOWER, 3.0, 9.0)
    (message,) = world.members["bob"].outgoing
    world.members["bob"].outgoing = []
    assert world.give("bob", "holder", message.data, 1.0) is None
    (pair,) = world.members["holder"].party.holder.pairs.values()
    grant = world.members["holder"].party.record_bytes(pair.grant)
    assert grant is not None
    relabelled = grant.replace(b"bandpact/grant", b"bandpact/reque", 1)
    assert reason(world, relabelled, "bob") is Reason.TYPE
    assert reason(world, grant, "bob") is Reason.TRANSPORT_BINDING


@pytest.mark.attack(12)
def test_another_network(world: World) -> None:
    raw = sign_record(world.members["alice"].key, world.frame(network="other"), world.asked())
    assert reason(world, raw) is Reason.DOMAIN


@pytest.mark.attack(13)
@pytest.mark.parametrize(
    ("at_s", "expected"),
    [(-5.0, Reason.STALE), (2.0, Reason.NOT_YET), (-7200.0, Reason.NOT_YET), (7200.0, Reason.EXPIRED)],
)
def test_signed_too_long_ago_or_in_the_future_or_outside_the_credential(
    world: World, at_s: float, expected: Reason
) -> None:
    raw = sign_record(world.members["alice"].key, world.frame(at=fix(at_s)), world.asked())
    assert reason(world, raw) is expected


@pytest.mark.attack(13)
def test_attested_interval_straddling_the_credentials_end_is_undecided(world: World) -> None:
    raw = sign_record(world.members["alice"].key, world.frame(at=fix(3600.0)), world.asked())
    assert reason(world, raw) is Reason.TIME_UNDECIDED


@pytest.mark.attack(17)
def test_sent_over_another_nodes_transport_key(world: World) -> None:
    raw = sign_record(world.members["alice"].key, world.frame(), world.asked())
    assert reason(world, raw, "bob") is Reason.TRANSPORT_BINDING


@pytest.mark.attack(36)
def test_attested_bound_too_wide(world: World) -> None:
    raw = sign_record(world.members["alice"].key, world.frame(at=fix(1.0, bound_ns=2_000_000)), world.asked())
    assert reason(world, raw) is Reason.TIME_UNTRUSTED


def far(metres: float, radius_mm: int = 1000) -> Fix:
    """A fix that many metres north of the centre of the area."""
    here = fix(1.0)
    north_e7 = here.position.lat_e7 + round(metres / 111_000 * 1e7)
    return replace(here, position=replace(here.position, lat_e7=north_e7, radius_mm=radius_mm))


@pytest.mark.feature("S3")
@pytest.mark.attack(38)
@pytest.mark.parametrize(
    ("metres", "radius_mm", "expected"),
    [
        (19_000, 1000, None),
        (21_000, 1000, Reason.SPATIAL_OUTSIDE),
        (20_000, 50_000, Reason.SPATIAL_UNDECIDED),
        (1_000, 60_000, Reason.POSITION_UNTRUSTED),
    ],
)
def test_place_by_the_farthest_point(world: World, metres: float, radius_mm: int, expected: Reason | None) -> None:
    raw = sign_record(world.members["alice"].key, world.frame(at=far(metres, radius_mm)), world.asked())
    refusal = verdict(world, raw)
    assert (refusal.reason if refusal else None) is expected
    if expected in (Reason.SPATIAL_OUTSIDE, Reason.SPATIAL_UNDECIDED):
        assert refusal is not None
        assert "mm" in refusal.measured
        assert str(AREA.radius_mm) in refusal.required


@pytest.mark.attack(37)
def test_position_from_a_source_the_rule_does_not_accept(world: World) -> None:
    here = fix(1.0)
    elsewhere = replace(here, position=replace(here.position, source=PositionSource.GPS))
    raw = sign_record(world.members["alice"].key, world.frame(at=elsewhere), world.asked())
    assert reason(world, raw) is Reason.POSITION_UNTRUSTED


def test_another_rule_is_unknown(world: World) -> None:
    world.settle()
    holder = world.members["holder"]
    offer = next(iter(holder.party.holder.offers.values()))
    raw = sign_record(holder.key, world.frame(author="holder"), replace(offer, rule=bytes(32)))
    refusal = world.give("holder", "alice", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert refusal.reason is Reason.RULE_UNKNOWN


def test_a_user_may_not_offer(world: World) -> None:
    offer = next(iter(world.members["holder"].party.holder.offers.values()))
    raw = sign_record(world.members["alice"].key, world.frame(), offer)
    assert reason(world, raw) is Reason.SCOPE


def test_unknown_author(world: World) -> None:
    raw = sign_record(world.members["alice"].key, replace(world.frame(), author=bytes(32)), world.asked())
    assert reason(world, raw) is Reason.UNKNOWN_AUTHOR


def test_same_number_for_two_records(world: World) -> None:
    body = world.asked()
    first = sign_record(world.members["alice"].key, world.frame(), body)
    second = sign_record(world.members["alice"].key, world.frame(), replace(body, nonce=b"other-nonce-0000"))
    assert reason(world, first) is None
    assert reason(world, second) is Reason.EQUIVOCATION


def reencoded(raw: bytes, key: SigningKey, payload: bytes) -> bytes:
    """Other payload bytes under a good signature of their author."""
    protected = cbor2.loads(cbor2.loads(raw).value[0])
    protected.pop(1)
    return cose.sign(key, payload, records.aad(NETWORK), protected)


def loads(payload: bytes) -> dict[int, Any]:
    loaded: dict[int, Any] = cbor2.loads(payload)
    return loaded


Change = Callable[[bytes], bytes]
FORMS: list[tuple[str, Change, Reason]] = [
    ("2 trailing", lambda p: p + b"\x00", Reason.MALFORMED),
    ("3 long length", lambda p: p[:1] + b"\x18\x01" + p[2:], Reason.NONCANONICAL),
    ("4 float", lambda p: cbor2.dumps({**loads(p), 6: {1: 1.5}}), Reason.FORBIDDEN_TYPE),
    ("4 tag", lambda p: cbor2.dumps({**loads(p), 6: {1: cbor2.CBORTag(1, 0)}}), Reason.FORBIDDEN_TYPE),
    ("5 deep", lambda p: b"\x81" * 20 + b"\x00", Reason.TOO_LARGE),
    ("unknown key", lambda p: cbor2.dumps({**loads(p), 7: 0}), Reason.MALFORMED),
    ("no attestation", lambda p: cbor2.dumps({k: v for k, v in loads(p).items() if k != 5}), Reason.MALFORMED),
    ("no map", lambda p: cbor2.dumps([1]), Reason.MALFORMED),
]


@pytest.mark.attack(2)
@pytest.mark.attack(3)
@pytest.mark.attack(4)
@pytest.mark.attack(5)
@pytest.mark.parametrize(("change", "expected"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS])
def test_signed_but_not_in_the_one_form(world: World, change: Change, expected: Reason) -> None:
    key = world.members["alice"].key
    raw = sign_record(key, world.frame(), world.asked())
    assert reason(world, reencoded(raw, key, change(cbor2.loads(raw).value[2]))) is expected


@pytest.mark.attack(1)
def test_signed_duplicate_key(world: World) -> None:
    key = world.members["alice"].key
    raw = sign_record(key, world.frame(), world.asked())
    payload = cbor2.loads(raw).value[2]
    count = payload[0] & 0x1F
    doubled = bytes([payload[0] + 1]) + b"\x01" + cbor2.dumps(NETWORK) + payload[1:]
    assert count < 20
    assert reason(world, reencoded(raw, key, doubled)) is Reason.MALFORMED


# -- credentials ---------------------------------------------------------------------------------------------------


def sub_authority(world: World, **changes: Any) -> tuple[bytes, SigningKey]:
    key = SigningKey.from_seed(seed("sub"))
    body = bodies.Credential(level="authority", scope=scope(("issue", *USER_ACTIONS), depth=1))
    named = claims(key.public, "sub", "root")
    return issue(world.root_key, world.authority, replace(body, **changes), named, network=NETWORK, fix=fix(-6)), key


WIDER = [
    ("band", {"bands": (Band(low_hz=BAND.low_hz - 1, high_hz=BAND.high_hz),)}),
    ("area", {"area": Area(lat_e7=AREA.lat_e7, lon_e7=AREA.lon_e7, radius_mm=AREA.radius_mm + 1)}),
    ("area moved", {"area": replace(AREA, lat_e7=AREA.lat_e7 + 10)}),
    ("class by prefix", {"classes": ("cbrs-extra",)}),
    ("action", {"actions": ("rule",)}),
    ("tier", {"tier": 0}),
    ("eirp", {"max_eirp_mdbm": 30_001}),
    ("depth", {"depth": 2}),
]


@pytest.mark.feature("G3")
@pytest.mark.attack(14)
@pytest.mark.attack(15)
@pytest.mark.parametrize("changes", [w[1] for w in WIDER], ids=[w[0] for w in WIDER])
def test_delegation_only_narrows(changes: dict[str, Any]) -> None:
    parent = scope(USER_ACTIONS, depth=2)
    child = scope(USER_ACTIONS, depth=1)
    assert wider_than(child, parent) is None
    refusal = wider_than(replace(child, **changes), parent)
    assert refusal is not None
    assert refusal.reason is Reason.SCOPE


def test_chains_of_three_and_what_breaks_them(world: World) -> None:
    raw, key = sub_authority(world)
    registry = Registry(NETWORK, world.anchors)
    middle = held(registry.admit_chain([world.root, raw]))
    leaf_key = SigningKey.from_seed(seed("leaf"))
    body = bodies.Credential(level="operator", scope=scope(USER_ACTIONS), transport_key=bytes(32))

    def child(**changes: Any) -> Subject | Refusal:
        named = claims(leaf_key.public, "leaf", changes.pop("issuer", "sub"), **changes)
        return registry.admit(issue(key, middle, body, named, network=NETWORK, fix=fix(-5)))

    assert isinstance(child(), Subject)
    late = child(expires_s=T0 // NS + 3601)
    assert isinstance(late, Refusal)
    assert late.clause == "scope.time"
    prefix = child(issuer="su")
    assert isinstance(prefix, Refusal)
    assert prefix.reason is Reason.SCOPE


def test_who_may_not_issue_cannot(world: World) -> None:
    registry = world.registry()
    alice = held(registry.admit(world.chains["alice"][1]))
    body = bodies.Credential(level="operator", scope=scope(USER_ACTIONS), transport_key=bytes(32))
    mallory = SigningKey.from_seed(seed("mallory"))
    raw = issue(
        world.members["alice"].key, alice, body, claims(mallory.public, "m", "alice"), network=NETWORK, fix=fix(0)
    )
    refusal = registry.admit(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.SCOPE


def test_a_root_nobody_configured_is_unknown() -> None:
    key = SigningKey.from_seed(seed("other-root"))
    body = bodies.Credential(level="authority", scope=scope(("issue",), depth=2))
    raw = issue(key, None, body, claims(key.public, "root", "root"), network=NETWORK, fix=fix(0))
    refusal = Registry(NETWORK, [bytes(32)]).admit(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.UNKNOWN_AUTHOR


def test_own_records_need_no_transport(world: World) -> None:
    party = world.members["alice"].party
    raw = sign_record(world.members["alice"].key, world.frame(), world.asked())
    assert isinstance(admit(raw, party.context, now=fix(1.0).time, transport_key=None), Admitted)
