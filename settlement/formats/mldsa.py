"""ML-DSA-44 cosignatures (FIPS 204; c2sp.org/tlog-cosignature, kind 6): they stay valid if Ed25519 is broken.

A cosignature is one line under a note, beside the Ed25519 lines. Software that does not know the kind ignores the line;
a verifier that has the key can demand it. Needs a `cryptography` package whose OpenSSL has ML-DSA; `AVAILABLE` is True
where the installed one does.
"""

import base64
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from settlement.chain.checkpoint import Head
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.formats.vkey import COSIGNER_MLDSA, VerifierKey

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa

    mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    AVAILABLE = True
except (ImportError, UnsupportedAlgorithm):
    AVAILABLE = False

SEED_BYTES, SIGNATURE_BYTES = 32, 2420
LABEL = b"subtree/v1\n\x00"


class Signer(Protocol):
    """A key that signs with ML-DSA-44."""

    @property
    def public(self) -> bytes:
        """The public key, 1312 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, 2420 bytes."""
        ...


class SeededSigner:
    """An ML-DSA-44 key from its secret seed of 32 bytes. Raises UnsupportedAlgorithm unless `AVAILABLE`."""

    def __init__(self, seed: bytes) -> None:
        if not AVAILABLE:
            raise UnsupportedAlgorithm("this cryptography has no ML-DSA; install a newer one")
        self._key = mldsa.MLDSA44PrivateKey.from_seed_bytes(seed)

    @property
    def public(self) -> bytes:
        """The public key, 1312 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, 2420 bytes."""
        return self._key.sign(message)


def _sized(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def message_of(head: Head, *, name: str, time_s: int) -> bytes:
    """Return the bytes that a cosigner signs: `cosigned_message` of c2sp.org/tlog-cosignature, for the whole tree.

    In order: label, cosigner's name, time (seconds since the Unix epoch), log's origin, first entry 0, size, root.
    """
    parts = (LABEL, _sized(name.encode()), time_s.to_bytes(8, "big"), _sized(head.origin.encode()), bytes(8))
    return b"".join((*parts, head.size.to_bytes(8, "big"), head.root))


def cosign(head: Head, *, name: str, key: Signer, time_s: int) -> str:
    """Return the cosignature line for the note of a head; `time_s` is in seconds since the Unix epoch."""
    blob = VerifierKey(name=name, kind=COSIGNER_MLDSA, public=key.public).key_id + time_s.to_bytes(8, "big")
    blob += key.sign(message_of(head, name=name, time_s=time_s))
    return f"\u2014 {name} {base64.b64encode(blob).decode()}\n"


def check(head: Head, blob: bytes, key: VerifierKey) -> int | Refusal:
    """Return the time of a valid cosignature, in seconds since the Unix epoch, or why it is not valid.

    Args: blob: the decoded base64 of the line: key id (4 bytes), time (8 bytes), signature (2420 bytes).
    """
    if not AVAILABLE:
        return refuse(Reason.ALG, "cosignature.mldsa", "no ML-DSA in this cryptography", "one whose OpenSSL has it")
    if blob[:4] != key.key_id or len(blob) != 4 + 8 + SIGNATURE_BYTES:
        return refuse(Reason.UNWITNESSED, "cosignature.line", f"{len(blob)} bytes", f"a line by {key.name}")
    time_s = int.from_bytes(blob[4:12], "big")
    try:
        public = mldsa.MLDSA44PublicKey.from_public_bytes(key.public)
        public.verify(blob[12:], message_of(head, name=key.name, time_s=time_s))
    except (InvalidSignature, ValueError):
        return refuse(Reason.SIGNATURE, "cosignature.signature", "does not verify", key.name)
    return time_s
