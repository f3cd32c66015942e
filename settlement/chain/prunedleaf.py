"""The stub of a log entry whose bytes were deleted: its hash in the tree, and what its row is checked against.

The tree consists of hashes, so every proof of every other entry, every signed head and the order of the log still
hold. The content is gone: that the bytes were of this subject and time is the owner's statement, signed with the sum
over all stubs in its state (kind `pruned`); that they may be deleted is in a record of the log (`retention`).
"""

import hashlib
from dataclasses import dataclass

from settlement.chain import merkle
from settlement.chain.codec import blob, decode, encode, text, uint
from settlement.core.reasons import Refusal

START = b"\xa8\x14"
"""First bytes of a stub: a map of eight whose first key is 20. No entry begins so: an entry's first key is 1."""
_LIMIT = 1024
_SUM_BYTES = 512
_MODULUS = 1 << (8 * _SUM_BYTES)
PRUNED, SUM = "pruned", b"sum"
"""Kind and key of the sum over all stubs in the state of a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedLeaf:
    """The stub of an admitted entry: hashes of leaf and record, when it had surely arrived, and what it was.

    `kind` names the kind of record whose retention a class sets; `commodity` is the class, empty for every class;
    author and number are the record's.
    """

    leaf: bytes = blob(20, 32)
    subject: bytes = blob(21, 32)
    origin: int = uint(22, high=1)
    arrived_ns: int = uint(23)
    kind: str = text(24, 32)
    commodity: str = text(25, 64)
    author: bytes = blob(26, 32)
    seq: int = uint(27)

    def encoded(self) -> bytes:
        """Return the bytes that stand in place of the entry's bytes."""
        return encode(self, limit=_LIMIT)


def is_pruned(body: bytes) -> bool:
    """Whether bytes claim to be the stub of an entry."""
    return body[:2] == START


def decode_pruned(body: bytes) -> PrunedLeaf | Refusal:
    """Parse the bytes of a stub."""
    return decode(PrunedLeaf, body, "pruned", limit=_LIMIT)


def entry_hash(body: bytes) -> bytes:
    """Return the hash of an entry in the tree: the hash of its bytes, or the hash that its stub names."""
    if is_pruned(body):
        stub = decode_pruned(body)
        if isinstance(stub, PrunedLeaf):
            return stub.leaf
    return merkle.leaf_hash(body)


def with_stub(total: int, index: int, body: bytes) -> int:
    """Add one stub to the sum over all stubs: AdHash, as in `standing`."""
    data = index.to_bytes(8, "big") + body
    return (total + int.from_bytes(hashlib.shake_256(b"bandpact/1/pruned" + data).digest(_SUM_BYTES), "big")) % _MODULUS


def sum_bytes(total: int) -> bytes:
    """Return the sum over all stubs as it is stored."""
    return total.to_bytes(_SUM_BYTES, "big")
