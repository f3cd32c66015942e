"""Attacks on headers, proofs, claims and discovery through the public entry: bytes in, verdict out."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest

from settlement.chain import bodies, cose, records
from settlement.chain.checkpoint import Head, origin_of, sign_head
from settlement.chain.keys import SigningKey
from settlement.chain.merkle import EMPTY_ROOT
from settlement.chain.records import sign_record
from settlement.core.fixes import PositionSource
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import verify
from settlement.state.messages import MESSAGE_LIMIT, Message
from tests.settlement.world import LOWER, NETWORK, RULE, World, fix, offered, seed, trio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return offered(tmp_path)


def verdict(world: World, raw: bytes, sender: str = "alice", to: str = "holder") -> Reason | None:
    refusal = world.give(sender, to, Message(record=raw).encoded(), 1.0)
    return refusal.reason if refusal else None


def rebuilt(key: SigningKey, raw: bytes, *, drop: tuple[int, ...] = (), unprotected: Any = None, **add: Any) -> bytes:
    """The same record under another header, with a signature that is good for it."""
    protected, _, payload, _ = cbor2.loads(raw).value
    fields = {k: v for k, v in cbor2.loads(protected).items() if k not in drop}
    fields |= {int(k.removeprefix("label")): v for k, v in add.items()}
    encoded = cbor2.dumps(dict(sorted(fields.items())))
    signature = key.sign(cose.to_be_signed(encoded, payload, records.aad(NETWORK)))
    return cbor2.dumps(cbor2.CBORTag(18, [encoded, unprotected or {}, payload, signature]))


HEADERS: list[tuple[str, dict[str, Any], Reason, tuple[Any, ...]]] = [
    ("unknown crit", {"label2": [99]}, Reason.CRIT, (pytest.mark.attack(6),)),
    ("crit of a known label", {"label2": [4]}, Reason.CRIT, (pytest.mark.attack(6),)),
    ("alg unprotected", {"drop": (1,), "unprotected": {1: -8}}, Reason.ALG, (pytest.mark.attack(7),)),
    ("alg missing", {"drop": (1,)}, Reason.ALG, (pytest.mark.attack(7),)),
    ("alg of another key", {"label1": -7}, Reason.ALG, (pytest.mark.attack(7),)),
    ("unprotected kid", {"unprotected": {4: b"x"}}, Reason.HEADER, (pytest.mark.attack(8),)),
    ("unprotected anything", {"unprotected": {99: 0}}, Reason.HEADER, (pytest.mark.attack(8),)),
]


@pytest.mark.parametrize(("changes", "expected"), [pytest.param(h[1], h[2], id=h[0], marks=h[3]) for h in HEADERS])
def test_headers(world: World, changes: dict[str, Any], expected: Reason) -> None:
    key = world.members["alice"].key
    raw = sign_record(key, world.frame(), world.asked())
    assert verdict(world, rebuilt(key, raw, **changes)) is expected
    assert verdict(world, rebuilt(key, raw)) is None


@pytest.mark.attack(5)
def test_a_length_that_promises_more_than_there_is_takes_no_memory(world: World) -> None:
    party, peer = world.members["holder"].party, world.members["alice"].transport
    bombs = [
        b"\xa1\x01\x5b" + (1 << 40).to_bytes(8, "big") + b"x",
        b"\xa1\x01\x9b" + (1 << 40).to_bytes(8, "big"),
        b"\xbb" + (1 << 40).to_bytes(8, "big"),
        b"\xa1\x01\x59\xff\xff" + bytes(0xFFFF),
        b"\x81" * 3000,
        bytes(MESSAGE_LIMIT + 1),
    ]

    def give(data: bytes) -> Refusal | None:
        return world.do("holder", 1.0, lambda step: party.receive(step, data, peer))  # type: ignore[no-any-return]

    give(b"\xa0")
    tracemalloc.start()
    try:
        reasons = [refusal.reason if (refusal := give(bomb)) else None for bomb in bombs]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert reasons[-2:] == [Reason.TOO_LARGE, Reason.TOO_LARGE]
    assert None not in reasons


@pytest.mark.attack(33)
@pytest.mark.attack(34)
def test_proofs_of_another_leaf_or_of_nothing(world: World) -> None:
    artifact = world.settle()
    log = world.members["holder"].party.lineage
    loaded = cbor2.loads(artifact)
    size = int(loaded[8][4].split("\n")[1])
    other = loaded[8][2] - 1
    holder = world.members["holder"].key
    empty = sign_head(Head(origin=origin_of(NETWORK, holder.public), size=0, root=EMPTY_ROOT), holder)
    valid = {1: log.leaf_body(other), 2: other, 3: list(log.inclusion(other, size))}
    cases = (
        (valid, Reason.ENTRY_MISMATCH),
        ({3: list(log.inclusion(other, size)), 2: other}, Reason.ENTRY_MISMATCH),
        ({3: loaded[8][3][:-1]}, Reason.PROOF),
        ({3: [*loaded[8][3], bytes(32)]}, Reason.PROOF),
        ({2: size}, Reason.PROOF),
        ({2: size + 5}, Reason.PROOF),
        ({4: empty}, Reason.PROOF),
        ({4: empty, 2: 0, 3: []}, Reason.PROOF),
    )
    for change, reason in cases:
        refusal = verify(cbor2.dumps({**loaded, 8: {**loaded[8], **change}}), network=NETWORK, anchors=world.anchors)
        assert isinstance(refusal, Refusal), change
        assert refusal.reason is reason, change


@pytest.mark.attack(39)
def test_an_absurdly_small_uncertainty_is_floored_by_its_source(tmp_path: Path) -> None:
    rule = replace(RULE, position_sources=(PositionSource.GPS, PositionSource.SIMULATED), position_radius_mm_max=400)
    world = trio(tmp_path, rule=rule)
    here = fix(1.0)
    exact = replace(here, position=replace(here.position, source=PositionSource.GPS, radius_mm=1))
    envelope = bodies.Envelope(
        kind="place",
        observed=bodies.Window(start_ns=1, end_ns=2),
        valid_until_ns=3,
        level_ppm=1,
        looks=1,
        channels=(),
        incumbents=(),
    )
    raw = sign_record(world.members["alice"].key, world.frame(at=exact), envelope)
    refusal = world.give("alice", "holder", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.measured) == (Reason.POSITION_UNTRUSTED, "500 mm")


@pytest.mark.attack(41)
def test_preemption_with_a_tier_it_does_not_hold(world: World) -> None:
    sid = world.request("alice", 1.0, LOWER, 2.0, 12.0)
    world.carry(1.0)
    pair = world.members["alice"].party.user.by_sid(sid)
    assert pair is not None
    assert pair.decision is not None
    body = bodies.Preempt(sid=sid, confirm=pair.decision, tier=0, reason="x", vacate_by_ns=fix(2.0).time.latest_ns)
    raw = sign_record(world.members["holder"].key, world.frame("holder"), body)
    assert verdict(world, raw, "holder", "alice") is Reason.TIER
    after = world.members["alice"].party.user.by_sid(sid)
    assert after == pair


@pytest.mark.attack(46)
def test_a_forged_discovery_record_changes_no_trust(world: World) -> None:
    alice = world.members["alice"].party
    before = (alice.registry.transport_keys(), dict(alice.user.offers))
    offer = next(iter(alice.user.offers.values())).body
    stranger = SigningKey.from_seed(seed("stranger"))
    unknown = sign_record(stranger, replace(world.frame(), author=bytes(32)), offer)
    posing = sign_record(replace(stranger, kid=world.members["holder"].key.kid), world.frame("holder"), offer)
    assert verdict(world, unknown, "bob", "alice") is Reason.UNKNOWN_AUTHOR
    assert verdict(world, posing, "bob", "alice") is Reason.SIGNATURE
    assert (alice.registry.transport_keys(), dict(alice.user.offers)) == before
