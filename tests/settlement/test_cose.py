"""COSE_Sign1: independent vectors byte for byte, and every malformed structure with its own reason."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain import cose, keys
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Reason, Refusal

KEY = SigningKey.from_seed(bytes(range(32)))
AAD = b"bandpact/1/x"
GOOD = cose.sign(KEY, b"\xa0", AAD, {cose.KID: KEY.kid, cose.TYP: "bandpact/grant"})


def rebuilt(**parts: Any) -> bytes:
    protected, unprotected, payload, signature = cbor2.loads(GOOD).value
    given_parts = {"protected": protected, "unprotected": unprotected, "payload": payload, "signature": signature}
    given_parts |= parts
    return cbor2.dumps(cbor2.CBORTag(18, list(given_parts.values())))


@pytest.mark.feature("S10")
def test_independent_vectors_are_accepted_and_reproduced_byte_for_byte(cose_vectors: list[dict[str, Any]]) -> None:
    assert len(cose_vectors) >= 6
    for vector in cose_vectors:
        key = SigningKey.from_seed(bytes.fromhex(vector["private_key"]))
        raw, aad = bytes.fromhex(vector["cose_sign1"]), bytes.fromhex(vector["external_aad"])
        message = cose.parse(raw)
        assert isinstance(message, cose.Unverified), vector["name"]
        assert key.public.hex() == vector["public_key"]
        assert key.kid.hex() == vector["kid"]
        assert message.payload.hex() == vector["payload"]
        assert cose.check(message, key.public, aad) is None
        fields: dict[int, object] = {}
        parts = (
            (cose.KID, message.header.kid),
            (cose.CWT_CLAIMS, message.header.claims),
            (cose.TYP, message.header.typ),
        )
        fields.update({label: value for label, value in parts if value is not None})
        assert cose.sign(key, message.payload, aad, fields) == raw, vector["name"]


def test_any_flipped_byte_of_an_independent_vector_is_refused(cose_vectors: list[dict[str, Any]]) -> None:
    vector = next(v for v in cose_vectors if v["name"] == "cwt claims in header")
    raw, public = bytes.fromhex(vector["cose_sign1"]), bytes.fromhex(vector["public_key"])
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        message = cose.parse(changed)
        if isinstance(message, cose.Unverified):
            assert cose.check(message, public, bytes.fromhex(vector["external_aad"])) is not None, at


BAD = [
    ("untagged", GOOD[1:], Reason.MALFORMED),
    ("empty", b"", Reason.MALFORMED),
    ("one byte behind", GOOD + b"\x00", Reason.MALFORMED),
    ("cut short", GOOD[:-1], Reason.MALFORMED),
    ("three parts", cbor2.dumps(cbor2.CBORTag(18, [b"", {}, b""])), Reason.MALFORMED),
    ("unprotected alg", rebuilt(unprotected={1: -8}), Reason.ALG),
    ("unprotected kid", rebuilt(unprotected={4: b"x"}), Reason.HEADER),
    ("alg missing", rebuilt(protected=cbor2.dumps({4: KEY.kid})), Reason.ALG),
    ("alg of another key", rebuilt(protected=cbor2.dumps({1: -7, 4: KEY.kid})), Reason.ALG),
    ("crit", rebuilt(protected=cbor2.dumps({1: -8, 2: [99], 4: KEY.kid})), Reason.CRIT),
    ("unknown label", rebuilt(protected=cbor2.dumps({1: -8, 4: KEY.kid, 99: 1})), Reason.HEADER),
    ("duplicate key", rebuilt(protected=b"\xa2\x01\x27\x01\x27"), Reason.MALFORMED),
    ("misordered", rebuilt(protected=b"\xa2\x04\x41\x00\x01\x27"), Reason.NONCANONICAL),
    ("long length", rebuilt(protected=b"\xa1\x18\x01\x27"), Reason.NONCANONICAL),
    ("short kid", rebuilt(protected=cbor2.dumps({1: -8, 4: b"short"})), Reason.HEADER),
    ("too large", rebuilt(payload=bytes(70_000)), Reason.TOO_LARGE),
]


@pytest.mark.parametrize(("raw", "reason"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_malformed_structures_get_their_reason(raw: bytes, reason: Reason) -> None:
    refusal = cose.parse(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason


def test_another_domain_or_key_does_not_verify() -> None:
    message = cose.parse(GOOD)
    assert isinstance(message, cose.Unverified)
    assert cose.check(message, KEY.public, AAD) is None
    other = cose.check(message, KEY.public, b"bandpact/1/y")
    assert other is not None
    assert other.reason is Reason.SIGNATURE
    stranger = cose.check(message, SigningKey.from_seed(bytes(32)).public, AAD)
    assert stranger is not None
    assert stranger.reason is Reason.KEY


@pytest.mark.attack(10)
def test_low_order_and_non_canonical_keys_are_refused() -> None:
    p = 2**255 - 19
    bad = {y | sign << 255 for y in keys.LOW_ORDER_Y for sign in (0, 1)} | {p, p + 1, 2**255 - 1}
    for y in bad:
        assert not keys.usable(y.to_bytes(32, "little"))
    assert keys.usable(KEY.public)
    # With the identity as key, R = identity and S = 0 "sign" every message for a verifier that lets it through.
    identity = (1).to_bytes(32, "little")
    assert not keys.verify(identity, identity + bytes(32), b"anything")


@given(st.binary(max_size=300))
def test_parse_never_raises(data: bytes) -> None:
    assert isinstance(cose.parse(data), cose.Unverified | Refusal)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_verifies(at: int, mask: int) -> None:
    changed = GOOD[:at] + bytes([GOOD[at] ^ mask]) + GOOD[at + 1 :]
    message = cose.parse(changed)
    assert isinstance(message, Refusal) or cose.check(message, KEY.public, AAD) is not None


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 65_535, 65_536])
def test_what_is_signed_is_the_structure_of_the_standard(size: int) -> None:
    parts = [bytes(size), b"aad", bytes(40)]
    for _ in range(3):
        parts.append(parts.pop(0))
        protected, aad, payload = parts
        expected = cbor2.dumps(["Signature1", protected, aad, payload])
        assert cose.to_be_signed(protected, payload, aad) == expected
