"""Revocation, rotation, budgets and reputation, through the public entry: bytes in, verdict out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies, records
from settlement.chain.bodies import PPM, Budget, Modality, Revocation
from settlement.chain.credentials import Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.rotation import rotation_of
from settlement.chain.scope import Band
from settlement.chain.status import StatusLists, bits_of, is_set
from settlement.chain.weights import consistency_ppm, observation_weight_ppm, share_ppm
from settlement.core.reasons import Reason, Refusal
from settlement.state.budget import SPENT
from settlement.state.messages import Message
from tests.settlement.world import (
    LOWER,
    NETWORK,
    NS,
    RULE,
    T0,
    UPPER,
    USER_ACTIONS,
    World,
    claims,
    fix,
    held,
    offered,
    scope,
    seed,
    trio,
)

INDEX = {"alice": 3, "bob": 11}


def status_list(
    world: World, *revoked: int, version: int = 1, at_s: float = 0.0, fresh_s: float = 100.0, size: int = 32
) -> bytes:
    body = Revocation(version=version, fresh_until_ns=T0 + round(fresh_s * NS), bits=bits_of(revoked, size))
    return world.by_authority(body, at_s)


def tell(world: World, raw: bytes, at_s: float, to: str = "holder", by: str = "bob") -> Reason | None:
    """Any neighbour may pass an authority's word on."""
    refusal = world.give(by, to, Message(record=raw).encoded(), at_s)
    return refusal.reason if refusal else None


@pytest.fixture
def world(tmp_path: Path) -> World:
    return offered(tmp_path, status_index=INDEX)


def ask(world: World, user: str = "alice", at_s: float = 1.0, band: Band = LOWER, end_s: float = 9.0) -> Reason | None:
    """A REQUEST, and the verdict on it; what follows is not delivered."""
    world.request(user, at_s, band, at_s + 2.0, end_s)
    (message,) = world.members[user].outgoing
    world.members[user].outgoing = []
    refusal = world.give(user, "holder", message.data, at_s)
    world.members["holder"].outgoing = []
    return refusal.reason if refusal else None


# -- status lists --------------------------------------------------------------------------------------------------


@pytest.mark.feature("G8")
def test_a_fresh_list_without_the_bit_lets_pass_and_with_it_refuses_at_once(world: World) -> None:
    assert tell(world, status_list(world, 11), 0.5) is None
    assert ask(world) is None
    assert ask(world, "bob", band=UPPER) is Reason.REVOKED


@pytest.mark.attack(18)
def test_an_issuer_in_the_middle_is_revoked(tmp_path: Path) -> None:
    world = World(tmp_path)
    middle_key, leaf_key = SigningKey.from_seed(seed("middle")), SigningKey.from_seed(seed("leaf"))
    body = bodies.Credential(level="authority", scope=scope(("issue", *USER_ACTIONS), depth=1), status_index=5)
    middle_raw = issue(
        world.root_key, world.authority, body, claims(middle_key.public, "middle", "root"), network=NETWORK, fix=fix(-9)
    )
    registry = world.registry()
    middle = held(registry.admit_chain([world.root, middle_raw]))
    leaf_raw = issue(
        middle_key,
        middle,
        bodies.Credential(level="operator", scope=scope(USER_ACTIONS), transport_key=bytes(32)),
        claims(leaf_key.public, "leaf", "middle"),
        network=NETWORK,
        fix=fix(-8),
    )
    leaf = held(registry.admit(leaf_raw))
    lists = StatusLists()
    now = fix(1.0).time
    unknown = lists.standing(leaf, registry, now)
    assert unknown is not None
    assert unknown.reason is Reason.STATUS_UNKNOWN
    good = Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=bits_of((), 8))
    lists.take(world.authority, b"", good)
    assert lists.standing(leaf, registry, now) is None
    lists.take(world.authority, b"", replace(good, version=2, bits=bits_of((5,), 8)))
    refusal = lists.standing(leaf, registry, now)
    assert refusal is not None
    assert (refusal.reason, refusal.measured) == (Reason.REVOKED, "middle")


@pytest.mark.attack(19)
@pytest.mark.parametrize(
    ("fresh_s", "size", "told"), [(0.9, 32, True), (100.0, 2, True), (100.0, 32, False)], ids=["stale", "short", "none"]
)
def test_a_list_that_cannot_say(world: World, fresh_s: float, size: int, told: bool) -> None:
    if told:
        assert tell(world, status_list(world, fresh_s=fresh_s, size=size), 0.5) is None
    user = "bob" if size == 2 else "alice"
    assert ask(world, user) is Reason.STATUS_UNKNOWN


@pytest.mark.attack(20)
@pytest.mark.parametrize("version", [4, 5])
def test_an_older_list_or_the_same_version_again(world: World, version: int) -> None:
    assert tell(world, status_list(world, 3, version=5), 0.5) is None
    assert tell(world, status_list(world, 3, version=version, at_s=0.1), 0.6) is Reason.ROLLBACK
    assert ask(world) is Reason.REVOKED


@pytest.mark.attack(20)
def test_revoked_stays_revoked(world: World) -> None:
    assert tell(world, status_list(world, 3), 0.5) is None
    assert tell(world, status_list(world, version=2, at_s=0.1), 0.6) is Reason.ROLLBACK
    assert tell(world, status_list(world, version=3, size=2, at_s=0.1), 0.6) is Reason.ROLLBACK


@pytest.mark.attack(21)
@pytest.mark.parametrize("version", [2**63, 2**64 - 1, 1_000_002])
def test_versions_do_not_jump(world: World, version: int) -> None:
    assert tell(world, status_list(world, version=version), 0.5) is Reason.FAST_FORWARD
    assert tell(world, status_list(world), 0.5) is None


@pytest.mark.attack(23)
def test_a_list_kept_back_past_its_life(world: World) -> None:
    raw = status_list(world, fresh_s=50.0)
    assert tell(world, raw, 60.0) is Reason.STALE


def test_only_who_may_issue_may_revoke(world: World) -> None:
    alice = world.members["alice"]
    frame = Frame(network=NETWORK, author=alice.hash, seq=800, previous=bytes(32), attestation=Attestation.of(fix(0.4)))
    body = Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=b"\x00")
    assert tell(world, sign_record(alice.key, frame, body), 0.5) is Reason.SCOPE


@pytest.mark.feature("G8")
def test_settled_pairs_stand_and_are_put_under_review(tmp_path: Path) -> None:
    world = trio(tmp_path, status_index=INDEX)
    world.offer()
    world.carry(0.1)
    assert tell(world, status_list(world), 0.2) is None
    sid = world.request("alice", 1.0, LOWER, 2.0, 12.0)
    world.carry(1.0)
    holder = world.members["holder"]
    assert tell(world, status_list(world, 3, version=2, at_s=1.5), 1.6) is None
    pair = holder.party.holder.pairs[sid]
    assert pair.live
    reviews = [n.fields for n in holder.notices if n.name == "review"]
    assert reviews == [{"sid": sid, "reason": "REVOKED"}]
    took = [n.fields["took_ms"] for n in holder.notices if n.name == "status list"]
    assert took[-1] == pytest.approx(100.0, abs=0.1)
    before = pair.renewals
    world.do("holder", 3.6, holder.party.tick)
    world.carry(3.6)
    assert holder.party.holder.pairs[sid].renewals == before + 1
    assert ask(world, at_s=3.7, band=UPPER, end_s=11.7) is Reason.REVOKED


def test_revocation_survives_a_restart(world: World) -> None:
    assert tell(world, status_list(world, 3), 0.5) is None
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    assert ask(world) is Reason.REVOKED


def test_a_list_travels_on_to_all_neighbours(world: World) -> None:
    raw = status_list(world, 3)
    assert tell(world, raw, 0.5, to="holder", by="bob") is None
    world.carry(0.5)
    assert world.members["alice"].party.status.held(world.authority.hash) is not None


def test_an_unchanged_list_from_a_second_neighbour_is_no_refusal_and_an_older_one_is_a_replay(world: World) -> None:
    """At a start each node is handed the list and hands it on: both have it then, and nobody replayed anything."""
    first, second = status_list(world), status_list(world, 3, version=2, at_s=0.5)
    assert tell(world, first, 0.2, to="holder", by="bob") is None
    assert tell(world, first, 0.2, to="alice", by="bob") is None
    assert world.carry(0.3) == []
    log = world.members["holder"].party.lineage
    size = log.size
    for at_s in (0.3, 0.4):
        assert tell(world, first, at_s, by="alice") is None
    assert log.size == size
    assert tell(world, second, 0.6) is None
    assert tell(world, first, 0.7, by="alice") is Reason.REPLAY  # it says less than is known: who is revoked
    assert ask(world, "alice", 1.0) is Reason.REVOKED


def test_what_a_node_takes_is_not_sent_back_to_where_it_came_from(world: World) -> None:
    assert tell(world, status_list(world), 0.2, to="holder", by="bob") is None
    sent = {name for name, one in world.members.items() for o in world.members["holder"].outgoing if one.hash == o.to}
    assert sent == {"alice"}


def test_bits() -> None:
    bits = bits_of((0, 9), 12)
    assert bits == b"\x01\x02"
    assert [i for i in range(16) if is_set(bits, i)] == [0, 9]
    with pytest.raises(ValueError, match="outside"):
        bits_of((16,), 12)


# -- rotation ------------------------------------------------------------------------------------------------------


def successor(world: World, name: str = "alice", **changes: Any) -> tuple[bytes, SigningKey]:
    key = SigningKey.from_seed(seed(name + "-new"))
    body = bodies.Credential(
        level="operator",
        scope=replace(scope(USER_ACTIONS, tier=2), **changes),
        transport_key=seed(name + "-transport"),
        device=f"device-{name}",
    )
    named = claims(key.public, name, "root")
    return issue(
        world.root_key, world.authority, body, named, network=NETWORK, fix=fix(-1), seq=next(world.numbers)
    ), key


def rotation(world: World, body: bodies.Rotation, key: SigningKey, *, seq: int = 700) -> bytes:
    return sign_record(key, world.frame(seq=seq, at=fix(0.4)), body)


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return offered(tmp_path)


@pytest.mark.feature("G9")
def test_a_key_signed_by_old_and_new_takes_over(plain: World) -> None:
    raw, key = successor(plain)
    alice = plain.members["alice"]
    body = rotation_of(alice.hash, raw, key, NETWORK)
    assert tell(plain, rotation(plain, body, alice.key), 0.5, by="alice") is None
    assert ask(plain) is Reason.ROTATION
    registry = plain.members["holder"].party.registry
    new = registry.by_transport(seed("alice-transport"))
    assert isinstance(new, Subject)
    assert new.public == key.public
    frame = Frame(network=NETWORK, author=new.hash, seq=1, attestation=Attestation.of(fix(1.0)))
    offer = next(iter(alice.party.user.offers.values()))
    request = bodies.Request(
        declaration=offer.declaration,
        cell=replace(offer.body.cell, band=LOWER, window=replace(offer.body.cell.window, end_ns=T0 + 9 * NS)),
        commodity="cbrs",
        tier=2,
        eirp_mdbm=10_000,
        price=7,
        partial=0,
        nonce=bytes(16),
    )
    assert tell(plain, sign_record(key, frame, request), 1.0, by="alice") is None


@pytest.mark.attack(22)
def test_a_rotation_not_signed_by_the_old_key(plain: World) -> None:
    raw, key = successor(plain)
    alice = plain.members["alice"]
    body = rotation_of(alice.hash, raw, key, NETWORK)
    assert tell(plain, rotation(plain, body, key), 0.5) is Reason.ROTATION
    posing = replace(key, kid=alice.key.kid)
    assert tell(plain, rotation(plain, body, posing, seq=701), 0.5) is Reason.ROTATION


@pytest.mark.attack(22)
def test_a_rotation_not_signed_by_the_new_key_or_to_more_than_before(plain: World) -> None:
    raw, key = successor(plain)
    alice, bob = plain.members["alice"], plain.members["bob"]
    stolen = rotation_of(alice.hash, raw, bob.key, NETWORK)
    assert tell(plain, rotation(plain, stolen, alice.key), 0.5) is Reason.ROTATION
    wider, key = successor(plain, max_eirp_mdbm=30_000, tier=1)
    more = rotation_of(alice.hash, wider, key, NETWORK)
    assert tell(plain, rotation(plain, more, alice.key, seq=702), 0.5) is Reason.ROTATION
    bobs, key = successor(plain, "bob")
    other = rotation_of(alice.hash, bobs, key, NETWORK)
    assert tell(plain, rotation(plain, other, alice.key, seq=703), 0.5) is Reason.ROTATION
    assert ask(plain) is None


def test_a_rotation_survives_a_restart(plain: World) -> None:
    raw, key = successor(plain)
    alice = plain.members["alice"]
    body = rotation_of(alice.hash, raw, key, NETWORK)
    assert tell(plain, rotation(plain, body, alice.key), 0.5) is None
    plain.members["holder"].party.lineage.close()
    plain.members["holder"] = plain.member_again("holder")
    assert plain.members["holder"].party.registry.successor(alice.hash) == records.digest(raw)
    assert ask(plain) is Reason.ROTATION


# -- budgets -------------------------------------------------------------------------------------------------------

MHZ_S = 1_000_000


def budgeted(tmp_path: Path, **changes: Any) -> World:
    base = Budget(
        level="operator",
        commodity="cbrs",
        window_ns=3600 * NS,
        amount_hz_s=100 * MHZ_S,
        first_share_ppm=PPM,
        step_ppm=0,
    )
    return offered(tmp_path, rule=replace(RULE, budgets=(replace(base, **changes),)))


@pytest.mark.feature("A7")
@pytest.mark.attack(40)
def test_an_exhausted_budget_suspends_for_its_window_and_a_restart_resets_nothing(tmp_path: Path) -> None:
    world = budgeted(tmp_path)
    assert ask(world) is None  # 10 MHz x 6 s
    assert ask(world, "bob", at_s=1.1, band=UPPER, end_s=9.1) is Reason.BUDGET
    assert ask(world, "bob", at_s=1.2, band=UPPER, end_s=4.2) is Reason.BUDGET  # small, but suspended
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    assert ask(world, "bob", at_s=1.3, band=UPPER, end_s=4.3) is Reason.BUDGET
    spent = [int.from_bytes(raw[8:], "big") for _, raw in world.members["holder"].party.lineage.items(SPENT)]
    assert max(spent) == 60 * MHZ_S


@pytest.mark.attack(65)
@pytest.mark.attack(40)
def test_one_request_too_large_closes_the_budget_for_its_author_alone(tmp_path: Path) -> None:
    world = budgeted(tmp_path)
    assert ask(world, "bob", end_s=60.0) is Reason.BUDGET
    assert ask(world, "bob", at_s=1.2, band=UPPER, end_s=4.2) is Reason.BUDGET
    assert ask(world, at_s=1.3, end_s=9.3) is None, "what is left is there for who did not ask too much"


@pytest.mark.attack(40)
def test_a_flood_of_requests_spends_no_more_than_the_budget(tmp_path: Path) -> None:
    world = budgeted(tmp_path, amount_hz_s=35 * MHZ_S)
    outcomes = [ask(world, at_s=1.0 + n / 100, band=LOWER, end_s=4.0 + n / 100) for n in range(6)]
    assert outcomes[0] is None
    assert set(outcomes[1:]) <= {Reason.BUDGET, Reason.CONFLICT}
    assert ask(world, "bob", at_s=1.5, band=UPPER, end_s=6.5) is Reason.BUDGET


def fulfil(world: World, at_s: float, start_s: float, *, report: bool = True) -> None:
    """A whole settlement of 10 MHz for a second, and the USAGE in which its user says that it is over."""
    user = world.members["alice"].party.user
    sid = world.request("alice", at_s, LOWER, start_s, start_s + 1.0)
    assert world.carry(at_s) == []
    if report:
        world.do("alice", at_s, lambda step: user.report_usage(step, sid, used=None, airtime_ns=1, bursts=1))
        assert world.carry(at_s) == []


@pytest.mark.feature("G10")
@pytest.mark.attack(53)
def test_a_new_identity_has_no_veterans_budget(tmp_path: Path) -> None:
    world = budgeted(tmp_path, first_share_ppm=200_000, step_ppm=300_000)
    holder, alice = world.members["holder"], world.members["alice"]
    assert ask(world) is Reason.REPUTATION  # 10 MHz x 6 s, of which it may have 20
    fulfil(world, 1.1, 20.0)
    fulfil(world, 1.2, 22.0)
    assert holder.party.lineage.counted(f"fulfilled:{alice.hash.hex()}") == 2
    fulfil(world, 1.3, 24.0)
    assert ask(world, "bob", at_s=1.35, end_s=6.35) is Reason.REPUTATION, "bob earned nothing by what alice did"
    assert ask(world, at_s=1.4, band=UPPER, end_s=9.4) is None


@pytest.mark.feature("G10")
@pytest.mark.attack(53)
def test_settling_without_fulfilling_or_saying_it_twice_earns_nothing(tmp_path: Path) -> None:
    world = budgeted(tmp_path, first_share_ppm=200_000, step_ppm=300_000)
    fulfil(world, 1.1, 20.0, report=False)
    assert ask(world, at_s=1.2, band=UPPER, end_s=9.2) is Reason.REPUTATION
    alice, holder = world.members["alice"], world.members["holder"]
    (sid,) = (pair.sid for pair in alice.party.user.pairs.values() if pair.decision is not None)
    pair = alice.party.user.by_sid(sid)
    assert pair is not None
    assert pair.decision is not None
    usage = bodies.Usage(sid=sid, confirm=pair.decision, airtime_ns=1, bursts=1, ended="")
    for seq in (700, 701, 702):
        tell(world, sign_record(alice.key, world.frame(seq=seq, at=fix(1.3)), usage), 1.3, by="alice")
    foreign = bodies.Usage(sid=seed("no settlement"), confirm=pair.decision, airtime_ns=1, bursts=1, ended="")
    raw = sign_record(alice.key, world.frame(seq=703, at=fix(1.3)), foreign)
    assert tell(world, raw, 1.3, by="alice") is Reason.UNKNOWN_SID
    assert holder.party.lineage.counted(f"fulfilled:{alice.hash.hex()}") == 1
    assert ask(world, at_s=1.4, band=UPPER, end_s=9.4) is Reason.REPUTATION


def test_weights() -> None:
    rule = replace(RULE, modalities=(Modality(name="sdr", reliability_ppm=800_000),))
    weight = observation_weight_ppm(rule, level="operator", modality="sdr", consistency_ppm=500_000)
    assert weight == 200_000
    assert observation_weight_ppm(rule, level="nobody", modality="sdr", consistency_ppm=PPM) == 0
    assert observation_weight_ppm(rule, level="operator", modality="rumour", consistency_ppm=PPM) == 0
    assert consistency_ppm([(0, 2), (5, 9), (1, 1)], (1, 3)) == 666_666
    assert consistency_ppm([], (1, 3)) == PPM
    assert share_ppm(first_ppm=100_000, step_ppm=50_000, fulfilled=4, failed=1) == 200_000
    assert share_ppm(first_ppm=100_000, step_ppm=50_000, fulfilled=0, failed=5) == 0


# -- envelopes -----------------------------------------------------------------------------------------------------


@pytest.mark.feature("E6")
@pytest.mark.attack(55)
@pytest.mark.parametrize(
    ("claimed", "limit", "expected"),
    [(-100_000, -105_000, None), (-110_000, -105_000, Reason.CONFIDENCE), (-100_000, None, Reason.CONFIDENCE)],
)
def test_an_envelope_claims_nothing_below_its_sensitivity(
    plain: World, claimed: int, limit: int | None, expected: Reason | None
) -> None:
    channel = bodies.ChannelObservation(
        band=LOWER, state="free", floor_unit="dBm/Hz", flags=(), clear_above_mdbm=claimed
    )
    body = bodies.Envelope(
        kind="place",
        observed=bodies.Window(start_ns=T0, end_ns=T0 + NS),
        valid_until_ns=T0 + 10 * NS,
        level_ppm=950_000,
        looks=10,
        channels=(channel,),
        incumbents=(),
        sensitivity_mdbm=limit,
    )
    alice = plain.members["alice"]
    frame = Frame(network=NETWORK, author=alice.hash, seq=600, previous=bytes(32), attestation=Attestation.of(fix(1.0)))
    raw = sign_record(alice.key, frame, body)
    refusal = plain.give("alice", "holder", Message(record=raw).encoded(), 1.0)
    assert (refusal.reason if isinstance(refusal, Refusal) else None) is expected
