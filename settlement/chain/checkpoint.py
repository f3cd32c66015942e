"""Signed heads of a lineage in the C2SP tlog-checkpoint form (a signed note, c2sp.org/tlog-checkpoint).

<origin>
<size>
<base64 root>

— <name> <base64(key hash, signature)>
"""

import base64
import hashlib
from dataclasses import dataclass

from settlement.chain import keys
from settlement.chain.keys import SigningKey
from settlement.reasons import Reason, Refusal, refuse

_ED25519 = b"\x01"
_DASH = "\u2014 "
MAX_NOTE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Size and root of a lineage, as its owner signed them."""

    origin: str
    size: int
    root: bytes


def origin_of(network: str, public: bytes) -> str:
    """The name a node's lineage goes by."""
    return f"bandpact/{network}/{keys.kid_of(public).hex()}"


def _key_hash(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _body(head: Head) -> str:
    return f"{head.origin}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"


def sign_head(head: Head, key: SigningKey) -> str:
    """The note: the same head and key give the same text."""
    body = _body(head)
    blob = _key_hash(head.origin, key.public) + key.sign(body.encode())
    return f"{body}\n{_DASH}{head.origin} {base64.b64encode(blob).decode()}\n"


def _unbase64(text: str) -> bytes:
    """Strict: the one text that encodes these bytes."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"base64 {text!r} is not canonical")
    return data


def _parse(note: str) -> tuple[Head, list[tuple[str, bytes]]]:
    body, _, tail = note.partition("\n\n")
    origin, size, root = body.split("\n")
    if not (size.isascii() and size.isdigit()) or (len(size) > 1 and size[0] == "0"):
        raise ValueError(f"size {size!r}")
    head = Head(origin=origin, size=int(size), root=_unbase64(root))
    if len(head.root) != 32 or not tail.endswith("\n"):
        raise ValueError("a root of 32 bytes, and a newline at the end")
    lines = tail[:-1].split("\n")
    if not all(line.startswith(_DASH) for line in lines):
        raise ValueError("signature lines")
    parts = [line[len(_DASH) :].split(" ") for line in lines]
    return head, [(name, _unbase64(blob)) for name, blob in parts]


def open_note(note: str, public: bytes) -> Head | Refusal:
    """Check the owner's signature on a checkpoint and return the head it speaks of."""
    if len(note) > MAX_NOTE_BYTES:
        return refuse(Reason.TOO_LARGE, "checkpoint.size", len(note), f"<= {MAX_NOTE_BYTES}")
    try:
        head, signatures = _parse(note)
    except ValueError as exc:
        return refuse(Reason.MALFORMED, "checkpoint.form", exc, "a C2SP checkpoint")
    wanted = _key_hash(head.origin, public)
    for name, blob in signatures:
        if name == head.origin and blob[:4] == wanted:
            if keys.verify(public, blob[4:], _body(head).encode()):
                return head
            return refuse(Reason.SIGNATURE, "checkpoint.signature", "does not verify", keys.kid_of(public).hex())
    return refuse(Reason.KEY, "checkpoint.key", [name for name, _ in signatures], head.origin)
