"""Ed25519 keys: signing, and verification that refuses the unsafe public keys which other libraries accept.

`cryptography` accepts low-order and non-canonical points (RFC 8032 section 5.1.3 leaves them to the caller); with such
a key one signature fits many messages, so they are refused here.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32
SIGNATURE_BYTES = 64
KID_BYTES = 16

_P = 2**255 - 19
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
# y coordinates of the eight points of small order: 0, 1, -1 and +-y of order 8 (RFC 7748 section 5 maps them).
LOW_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})


@lru_cache(maxsize=1024)
def usable(public: bytes) -> bool:
    """True for a canonical public key that is not of small order. Source: RFC 8032 sections 5.1.3 and 8.4."""
    if len(public) != KEY_BYTES:
        return False
    y = int.from_bytes(public, "little") & ((1 << 255) - 1)
    return y < _P and y not in LOW_ORDER_Y


@lru_cache(maxsize=1024)
def kid_of(public: bytes) -> bytes:
    """Return the first 16 bytes of SHA-256 of a public key: they name the key in a COSE header."""
    return hashlib.sha256(public).digest()[:KID_BYTES]


@lru_cache(maxsize=1024)
def _loaded(public: bytes) -> Ed25519PublicKey | None:
    return Ed25519PublicKey.from_public_bytes(public) if usable(public) else None


Verify = Callable[[bytes, bytes, bytes], bool]
"""A function of public key, signature and message that tells whether the signature is valid."""


HOLDING_KEPT = 4096
_KEEPING = threading.Lock()
_HOLDING: dict[bytes, None] = {}
"""Cache of valid signatures: SHA-256 of key, signature and message, the oldest first; 0.5 MiB at most."""


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether the signature is the key's over the message and the key is usable.

    The last HOLDING_KEPT valid signatures are cached by hash and not computed again: the credentials and rules under
    every settlement, and records that come a second time. An invalid signature is computed each time.
    """
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    name = hashlib.sha256(public + signature + message).digest()
    if name in _HOLDING:
        return True
    if not verify_anew(public, signature, message):
        return False
    with _KEEPING:
        if len(_HOLDING) >= HOLDING_KEPT:
            del _HOLDING[next(iter(_HOLDING))]
        _HOLDING[name] = None
    return True


def verify_anew(public: bytes, signature: bytes, message: bytes) -> bool:
    """Verify as `verify` does, without the cache: for measuring what one verification takes."""
    key = _loaded(public)
    if key is None or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that signs; its text form never shows the secret."""

    _private: Ed25519PrivateKey
    public: bytes
    kid: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """Load a key from its 32 secret bytes."""
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = private.public_key().public_bytes_raw()
        return cls(private, public, kid_of(public))

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519 (deterministic: the same message gives the same bytes)."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid.hex()})"
