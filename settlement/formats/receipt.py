"""COSE receipts (RFC 9942): proof that an entry is in a log, as a COSE_Sign1 that SCITT tools can read.

A receipt is signed over the log's root. A verifier computes that root from the entry and the inclusion proof:

    [ << {1: -8, 4: kid, 15: {1: origin, 2: origin}, 395: 1} >>,     395 vds: 1 = RFC 9162 with SHA-256
      {396: {-1: [ << [tree size, index, [path]] >> ]}},              396 vdp, -1 inclusion proofs
      nil,                                                            the root, detached
      signature ]

The signature does not cover the entry itself. So the node signs its root once, when it seals its log (`sign_root`), and
anyone who has the log and that signature makes the receipt of any entry without the key (`receipt`). `external_aad` is
empty, as RFC 9942 requires; records always have one, so that neither signature can be used for the other.
"""

from dataclasses import dataclass
from typing import Any

import cbor2

from settlement.chain import cose, keys, merkle
from settlement.chain.checkpoint import Head
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Reason, Refusal, refuse

ALG, KID, CWT_CLAIMS, VDS, VDP = 1, 4, 15, 395, 396
ISS, SUB = 1, 2
EDDSA, RFC9162_SHA256, INCLUSION = -8, 1, -1
TAG = 18
SIZE_MAX = 8 * 1024
PATH_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a valid receipt proves: origin and size of the log, number of the entry (from 0), and the signed root."""

    origin: str
    size: int
    index: int
    root: bytes


def _protected(origin: str, public: bytes) -> bytes:
    claims = {ISS: origin, SUB: origin}
    return cbor2.dumps({ALG: EDDSA, KID: keys.kid_of(public), CWT_CLAIMS: claims, VDS: RFC9162_SHA256})


def sign_root(head: Head, key: SigningKey) -> bytes:
    """Return the owner's signature over the root of its log: a COSE_Sign1 with the root as payload, for `receipt`."""
    protected = _protected(head.origin, key.public)
    signature = key.sign(cose.to_be_signed(protected, head.root, b""))
    return cbor2.dumps(cbor2.CBORTag(TAG, [protected, {}, head.root, signature]))


def receipt(signed_root: bytes, *, size: int, index: int, path: tuple[bytes, ...]) -> bytes | Refusal:
    """Return the receipt of the entry at `index` of a log of `size` entries.

    Args: signed_root: from `sign_root`, at that size. path: the inclusion path, from the leaf's sibling upwards.
    """
    parts = _parts(signed_root)
    if isinstance(parts, Refusal):
        return parts
    protected, unprotected, root, signature = parts
    if unprotected != {} or not isinstance(root, bytes):
        return _bad("a signed root, its payload attached")
    proof = cbor2.dumps([size, index, list(path)])
    return cbor2.dumps(cbor2.CBORTag(TAG, [protected, {VDP: {INCLUSION: [proof]}}, None, signature]))


def _bad(required: str, measured: object = "something else") -> Refusal:
    return refuse(Reason.MALFORMED, "receipt.form", measured, required)


def _loaded(data: bytes) -> Any:
    """Decode CBOR. Raises ValueError unless encoding the value again gives the same bytes (few enough for that)."""
    try:
        value = cbor2.loads(data)
        again = cbor2.dumps(value)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError) as exc:
        raise ValueError(f"not CBOR ({type(exc).__name__})") from exc
    if again != data:
        raise ValueError("not the one encoding of its value")
    return value


def _parts(data: bytes) -> tuple[bytes, Any, Any, bytes] | Refusal:
    if len(data) > SIZE_MAX:
        return refuse(Reason.TOO_LARGE, "receipt.size", len(data), f"<= {SIZE_MAX} bytes")
    try:
        outer = _loaded(data)
    except ValueError as exc:
        return _bad("a COSE_Sign1", exc)
    value = outer.value if isinstance(outer, cbor2.CBORTag) and outer.tag == TAG else None
    if not isinstance(value, list | tuple) or len(value) != 4:
        return _bad("a tagged COSE_Sign1 of four parts")
    protected, unprotected, payload, signature = value
    if not isinstance(protected, bytes) or not isinstance(signature, bytes) or len(signature) != keys.SIGNATURE_BYTES:
        return _bad("a protected header and a signature of 64 bytes")
    return protected, unprotected, payload, signature


def _inclusion(unprotected: Any) -> tuple[int, int, tuple[bytes, ...]]:
    """Return size, index and path of the only inclusion proof in the unprotected header. Raises ValueError."""
    match unprotected:
        case {396: {-1: [bytes(data)]}} if len(unprotected) == 1 and len(unprotected[VDP]) == 1:
            said = _loaded(data)
        case _:
            raise ValueError("an unprotected header without the one inclusion proof")
    match said:
        case [int(size), int(index), [*path]] if not isinstance(size, bool) and not isinstance(index, bool):
            if len(path) <= PATH_MAX and all(isinstance(one, bytes) for one in path):
                return size, index, tuple(path)
    raise ValueError("an inclusion proof that is not [size, index, [hashes]]")


def check(data: bytes, entry: bytes, *, origin: str, public: bytes) -> Received | Refusal:
    """Check a receipt: that the log named `origin`, signed with the key of `public` (Ed25519), holds the entry."""
    parts = _parts(data)
    if isinstance(parts, Refusal):
        return parts
    protected, unprotected, payload, signature = parts
    if payload is not None:
        return _bad("a detached payload", "the payload is attached")
    if protected != _protected(origin, public):
        return refuse(Reason.HEADER, "receipt.protected", "another header", f"the header of {origin}")
    try:
        size, index, path = _inclusion(unprotected)
    except ValueError as exc:
        return _bad("one inclusion proof", exc)
    root = merkle.root_from(merkle.leaf_hash(entry), index, size, path)
    if isinstance(root, Refusal):
        return root
    if not keys.verify(public, signature, cose.to_be_signed(protected, root, b"")):
        return refuse(Reason.SIGNATURE, "receipt.signature", "does not verify over this entry's root", origin)
    return Received(origin=origin, size=size, index=index, root=root)
