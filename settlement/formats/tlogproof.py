"""C2SP tlog-proof@v1: proof that an entry is in a log, as a text file that stock tools read (c2sp.org/tlog-proof).

    c2sp.org/tlog-proof@v1
    extra <base64 of the entry>
    index <number of the entry>
    <base64 of a hash>            the inclusion path, RFC 6962 section 2.1.1, from the leaf's sibling upwards

    <the checkpoint, verbatim, with its cosignatures>

The line `extra` may be absent. The entry in it is trusted only if its leaf hash is the one that the path proves.
"""

import base64
import binascii
from dataclasses import dataclass

from settlement.chain import merkle
from settlement.chain.checkpoint import MAX_NOTE_BYTES, Head, open_note
from settlement.chain.leaf import LEAF_LIMIT
from settlement.core.reasons import Reason, Refusal, refuse

FIRST = "c2sp.org/tlog-proof@v1"
PATH_MAX = 64
SIZE_MAX = MAX_NOTE_BYTES + LEAF_LIMIT * 4 // 3 + PATH_MAX * 48


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """One proof: the entry's number (from 0), its inclusion path, the signed head, and the entry itself if included."""

    index: int
    path: tuple[bytes, ...]
    note: str
    entry: bytes | None = None

    def text(self) -> str:
        """Return the text of the file."""
        extra = [] if self.entry is None else [f"extra {_base64(self.entry)}"]
        lines = [FIRST, *extra, f"index {self.index}", *(_base64(one) for one in self.path), "", ""]
        return "\n".join(lines) + self.note


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    """Decode base64. Raises ValueError unless encoding the bytes again gives the same text."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"base64: {exc}") from exc
    if _base64(data) != text:
        raise ValueError("base64 that is not the one text for its bytes")
    return data


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or (len(text) > 1 and text[0] == "0"):
        raise ValueError(f"number {text[:24]!r}")
    return int(text)


def read(text: str) -> TlogProof | Refusal:
    """Parse the text of a file into a proof; `check` verifies it. Refusals: TOO_LARGE, MALFORMED."""
    if len(text) > SIZE_MAX:
        return refuse(Reason.TOO_LARGE, "tlog-proof.size", len(text), f"<= {SIZE_MAX} characters")
    try:
        return _read(text)
    except ValueError as exc:
        return refuse(Reason.MALFORMED, "tlog-proof.form", exc, FIRST)


def _read(text: str) -> TlogProof:
    head, gap, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if not gap or first != FIRST:
        raise ValueError(f"first line {first[:40]!r}")
    entry = _unbase64(lines.pop(0)[len("extra ") :]) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise ValueError("no line `index`")
    index = _number(lines.pop(0)[len("index ") :])
    path = tuple(_unbase64(line) for line in lines)
    if len(path) > PATH_MAX or any(len(one) != merkle.HASH_BYTES for one in path):
        raise ValueError("hashes of 32 bytes, at most 64 of them")
    return TlogProof(index=index, path=path, note=note, entry=entry)


def check(proof: TlogProof, entry: bytes, public: bytes) -> Head | Refusal:
    """Check that the log with the Ed25519 key `public` holds the entry; return the signed head, or a refusal."""
    if proof.entry is not None and proof.entry != entry:
        return refuse(Reason.ENTRY_MISMATCH, "tlog-proof.extra", "another entry", "the entry that is asked about")
    head = open_note(proof.note, public)
    if isinstance(head, Refusal):
        return head
    wrong = merkle.verify_inclusion(merkle.leaf_hash(entry), proof.index, head.size, proof.path, head.root)
    return wrong or head
