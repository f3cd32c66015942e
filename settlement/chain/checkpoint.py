"""Signed heads of a node's log in the C2SP tlog-checkpoint form (a signed note, c2sp.org/tlog-checkpoint).

<origin>
<size>
<base64 root>

— <name> <base64(key hash, signature)>

A neighbour that saw the head extend what it saw before adds a line of its own (c2sp.org/tlog-cosignature, version 1):
its signature is over a line "cosignature/v1", a line "time <seconds>" and the note's body; the line carries the time.
"""

import base64
import hashlib
from dataclasses import dataclass

from settlement.chain import keys
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Reason, Refusal, refuse

_ED25519 = b"\x01"
_COSIGNATURE_V1 = b"\x04"
_TIME_BYTES = 8
_DASH = "\u2014 "
MAX_NOTE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Size and root of a log, as its owner signed them."""

    origin: str
    size: int
    root: bytes


def origin_of(network: str, public: bytes) -> str:
    """Return the origin line that names a node's log in its checkpoints."""
    return f"bandpact/{network}/{keys.kid_of(public).hex()}"


def _key_hash(name: str, public: bytes, kind: bytes = _ED25519) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def _body(head: Head) -> str:
    return f"{head.origin}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"


def sign_head(head: Head, key: SigningKey) -> str:
    """Sign a head as a checkpoint note; the same head and key give the same text."""
    body = _body(head)
    blob = _key_hash(head.origin, key.public) + key.sign(body.encode())
    return f"{body}\n{_DASH}{head.origin} {base64.b64encode(blob).decode()}\n"


def _unbase64(text: str) -> bytes:
    """Decode base64, refusing every text but the one canonical encoding of the bytes."""
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


def signature_count(note: str) -> int:
    """Return how many signature lines a note has."""
    return note.partition("\n\n")[2].count("\n")


def open_note(note: str, public: bytes) -> Head | Refusal:
    """Check the owner's signature on a checkpoint and return the head that it states."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A witness's cosignature: that it saw a head, and when in seconds since the Unix epoch."""

    name: str
    time_s: int


def _cosigned_text(head: Head, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{_body(head)}".encode()


def cosign(head: Head, *, name: str, key: SigningKey, time_s: int) -> str:
    """Sign a cosignature line for the note of a head. Source: c2sp.org/tlog-cosignature, Ed25519."""
    blob = _key_hash(name, key.public, _COSIGNATURE_V1) + time_s.to_bytes(_TIME_BYTES, "big")
    blob += key.sign(_cosigned_text(head, time_s))
    return f"{_DASH}{name} {base64.b64encode(blob).decode()}\n"


def check_cosignature(note: str, *, name: str, public: bytes) -> Cosigned | Refusal:
    """Check the cosignature line of the witness `name` in a note; UNWITNESSED where the note has none."""
    if len(note) > MAX_NOTE_BYTES:
        return refuse(Reason.TOO_LARGE, "cosignature.size", len(note), f"<= {MAX_NOTE_BYTES}")
    try:
        head, signatures = _parse(note)
    except ValueError as exc:
        return refuse(Reason.MALFORMED, "cosignature.form", exc, "a C2SP checkpoint with cosignatures")
    wanted = _key_hash(name, public, _COSIGNATURE_V1)
    for named, blob in signatures:
        if named != name or blob[:4] != wanted:
            continue
        time_s = int.from_bytes(blob[4 : 4 + _TIME_BYTES], "big")
        if keys.verify(public, blob[4 + _TIME_BYTES :], _cosigned_text(head, time_s)):
            return Cosigned(name=name, time_s=time_s)
        return refuse(Reason.SIGNATURE, "cosignature.signature", "does not verify", name)
    return refuse(Reason.UNWITNESSED, "cosignature.line", [n for n, _ in signatures], name)
