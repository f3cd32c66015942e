"""Verifier keys as logs and witnesses hand them out: `NAME+HASH+BASE64` (c2sp.org/signed-note, verifier keys).

HASH is the key id in 8 hex digits. The first byte behind the base64 is the kind: 1 an Ed25519 signature of a log, 4 an
Ed25519 cosignature, 6 an ML-DSA-44 cosignature (c2sp.org/tlog-cosignature). The rest is the public key.
"""

import base64
import hashlib
from dataclasses import dataclass

from settlement.chain import keys
from settlement.core.reasons import Reason, Refusal, refuse

LOG, COSIGNER, COSIGNER_MLDSA = 1, 4, 6
KEY_BYTES = {LOG: 32, COSIGNER: 32, COSIGNER_MLDSA: 1312}
NAME_MAX = 255
TEXT_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A verifier key: name, kind and public key; `kind` is LOG, COSIGNER or COSIGNER_MLDSA."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The key id, 4 bytes: it precedes every signature of this key in a note."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def text(self) -> str:
        """Return the key in its text form."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"


def proper_name(name: str) -> bool:
    """Whether a name may stand in a signature line: 1 to 255 bytes, printable, without space, plus or em dash."""
    return bool(name) and len(name.encode()) <= NAME_MAX and name.isprintable() and not set(name) & set(" +\u2014")


def read_key(text: str) -> VerifierKey | Refusal:
    """Parse the text of a verifier key. Refused as KEY: another form, a wrong hash, an unsafe Ed25519 point."""
    name, _, rest = text.strip()[:TEXT_MAX].partition("+")
    said, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError as exc:
        return refuse(Reason.KEY, "vkey.base64", exc, "NAME+HASH+BASE64")
    if not proper_name(name) or not data or len(data) - 1 != KEY_BYTES.get(data[0]):
        return refuse(Reason.KEY, "vkey.form", text[:60], "a name and a key of kind 1, 4 or 6")
    key = VerifierKey(name=name, kind=data[0], public=data[1:])
    if key.key_id.hex() != said:
        return refuse(Reason.KEY, "vkey.hash", said, key.key_id.hex())
    if key.kind != COSIGNER_MLDSA and not keys.usable(key.public):
        return refuse(Reason.KEY, "vkey.point", key.public.hex(), "a canonical Ed25519 key that is not of low order")
    return key
