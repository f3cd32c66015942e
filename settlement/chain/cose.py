"""Strict signing and decoding of tagged COSE_Sign1 with Ed25519 (RFC 9052 sections 4.2 and 4.4).

This is our own code because the Python COSE libraries accept unknown `crit`, an algorithm in the unprotected header,
duplicate keys and trailing bytes. Decoding does all of these steps, in this order:

    (0) size cap
    (1) byte scan: structure of the four parts, protected header in the accepted CBOR form
    (2) header rules: only known labels, alg = -8, no crit, unprotected header empty
    (3) the caller finds the key by kid; signature over the received bytes
    (4) only then is the payload parsed, from those same bytes

Received bytes are never encoded again.
"""

from dataclasses import dataclass
from functools import lru_cache

import cbor2

from settlement.chain import keys
from settlement.chain.scan import MAX_RECORD_BYTES, read_head, scan
from settlement.core.reasons import Reason, Refusal, RefusedError, refuse

ALG, CRIT, KID, CWT_CLAIMS, TYP = 1, 2, 4, 15, 16
EDDSA = -8
_TAG_SIGN1 = 0xD2
_ARRAY_OF_4 = 0x84
_BYTES, _MAP = 2, 5
_SIGNATURE1 = b"\x84\x6aSignature1"
_SHORT_HEADS = tuple(bytes([0x40 + size]) for size in range(24))
_KNOWN = {ALG, KID, CWT_CLAIMS, TYP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The protected header of a message: `kid`, `typ` and `claims` are None where absent."""

    kid: bytes | None
    typ: str | None
    claims: dict[int, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified:
    """A well-formed COSE_Sign1 whose signature has not been checked yet."""

    raw: bytes
    protected: bytes
    header: Header
    payload: bytes
    signature: bytes


def _bytes_at(data: bytes, offset: int, part: str) -> tuple[bytes, int]:
    major, length, behind = read_head(data, offset)
    if major != _BYTES or behind + length > len(data):
        raise RefusedError(refuse(Reason.MALFORMED, f"cose.{part}", f"at byte {offset}", "a byte string"))
    return data[behind : behind + length], behind + length


def split(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Step (1): return protected header, payload and signature of the outer structure. Raises RefusedError."""
    if len(data) < 2 or data[0] != _TAG_SIGN1 or data[1] != _ARRAY_OF_4:
        raise RefusedError(refuse(Reason.MALFORMED, "cose.structure", data[:2].hex(), "d284: tag 18, array of 4"))
    protected, offset = _bytes_at(data, 2, "protected")
    major, pairs, offset = read_head(data, offset)
    if major != _MAP:
        raise RefusedError(refuse(Reason.MALFORMED, "cose.unprotected", f"major type {major}", "a map"))
    if pairs:
        label = read_head(data, offset)[1]
        reason = Reason.ALG if label == ALG else Reason.HEADER
        raise RefusedError(refuse(reason, "cose.unprotected", f"{pairs} fields", "an empty map"))
    payload, offset = _bytes_at(data, offset, "payload")
    signature, offset = _bytes_at(data, offset, "signature")
    if offset != len(data):
        raise RefusedError(refuse(Reason.MALFORMED, "cose.trailing", f"{len(data) - offset} bytes", "none"))
    return protected, payload, signature


@lru_cache(maxsize=256)
def read_header(protected: bytes) -> Header:
    """Step (2): check the header rules and return the header. Raises RefusedError.

    An author's records of one type have the same header bytes, so results are cached.
    """
    refusal = scan(protected, signed_keys=True)
    if refusal is not None:
        raise RefusedError(refusal)
    fields = cbor2.loads(protected)
    if not isinstance(fields, dict):
        raise RefusedError(refuse(Reason.HEADER, "cose.protected", type(fields).__name__, "a map"))
    if CRIT in fields:
        raise RefusedError(refuse(Reason.CRIT, "cose.crit", fields[CRIT], "no critical extensions"))
    if fields.get(ALG) != EDDSA:
        raise RefusedError(refuse(Reason.ALG, "cose.alg", fields.get(ALG, "absent"), EDDSA))
    unknown = set(fields) - _KNOWN
    if unknown:
        raise RefusedError(refuse(Reason.HEADER, "cose.label", sorted(unknown), sorted(_KNOWN)))
    kid, typ, claims = fields.get(KID), fields.get(TYP), fields.get(CWT_CLAIMS)
    if kid is not None and (not isinstance(kid, bytes) or len(kid) != keys.KID_BYTES):
        raise RefusedError(refuse(Reason.HEADER, "cose.kid", kid, f"{keys.KID_BYTES} bytes"))
    if typ is not None and not isinstance(typ, str):
        raise RefusedError(refuse(Reason.HEADER, "cose.typ", typ, "text"))
    if claims is not None and not isinstance(claims, dict):
        raise RefusedError(refuse(Reason.HEADER, "cose.claims", type(claims).__name__, "a map"))
    return Header(kid=kid, typ=typ, claims=claims)


def parse(data: bytes) -> Unverified | Refusal:
    """Steps (0) to (2): return a well-formed message whose signature is still unchecked."""
    if len(data) > MAX_RECORD_BYTES:
        return refuse(Reason.TOO_LARGE, "cose.size", f"{len(data)} bytes", f"<= {MAX_RECORD_BYTES} bytes")
    try:
        protected, payload, signature = split(data)
        header = read_header(protected)
    except RefusedError as exc:
        return exc.refusal
    return Unverified(raw=data, protected=protected, header=header, payload=payload, signature=signature)


def to_be_signed(protected: bytes, payload: bytes, external_aad: bytes) -> bytes:
    """Return the Sig_structure of RFC 9052 section 4.4: an array of a text and three byte strings."""
    return b"".join((_SIGNATURE1, *_headed(protected), *_headed(external_aad), *_headed(payload)))


def _headed(data: bytes) -> tuple[bytes, bytes]:
    """Return a byte string in CBOR: its head in the shortest form (RFC 8949 section 3), and its content."""
    size = len(data)
    if size < 24:
        return _SHORT_HEADS[size], data
    if size < 1 << 8:
        return b"\x58" + size.to_bytes(1, "big"), data
    if size < 1 << 16:
        return b"\x59" + size.to_bytes(2, "big"), data
    return b"\x5a" + size.to_bytes(4, "big"), data


def check(
    message: Unverified, public: bytes, external_aad: bytes, *, verify: keys.Verify = keys.verify
) -> Refusal | None:
    """Step (3): check that the key is usable, is the one the kid names, and signed these bytes in this domain."""
    if not keys.usable(public):
        return refuse(Reason.KEY, "cose.key", public.hex(), "a canonical Ed25519 key that is not of low order")
    if message.header.kid is not None and message.header.kid != keys.kid_of(public):
        return refuse(Reason.KEY, "cose.kid", message.header.kid.hex(), keys.kid_of(public).hex())
    signed = to_be_signed(message.protected, message.payload, external_aad)
    if not verify(public, message.signature, signed):
        return refuse(Reason.SIGNATURE, "cose.signature", "does not verify", f"signed by {keys.kid_of(public).hex()}")
    return None


def sign(key: keys.SigningKey, payload: bytes, external_aad: bytes, fields: dict[int, object]) -> bytes:
    """Encode and sign a payload; `fields` are protected header fields beside alg. Equal input gives equal bytes."""
    protected = cbor2.dumps(dict(sorted({ALG: EDDSA, **fields}.items())))
    signature = key.sign(to_be_signed(protected, payload, external_aad))
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))
