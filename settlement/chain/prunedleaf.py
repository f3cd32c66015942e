"""What stays of an entry whose bytes were let go: its hash in the tree, and what its row is held against.

The tree is made of hashes, so every proof of every other entry, every signed head and the order of the log hold as
before. What the bytes said is gone: that they were the bytes of this subject, from then, is the owner's word, signed
with the sum over all stubs in its state (kind `pruned`); that they may be gone is in a record of the log (`retention`).
"""

import hashlib
from dataclasses import dataclass

from settlement.chain import merkle
from settlement.chain.codec import blob, decode, encode, text, uint
from settlement.core.reasons import Refusal

START = b"\xa8\x14"
"""A map of eight whose first key is 20: no entry begins so, its first key is 1."""
_LIMIT = 1024
_SUM_BYTES = 512
_MODULUS = 1 << (8 * _SUM_BYTES)
PRUNED, SUM = "pruned", b"sum"
"""Kind and key of the sum over all stubs in the state of a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedLeaf:
    """The stub of an admitted entry: hash of its leaf, hash of its record, when it had surely arrived, and what it was.

    `kind` is of what a class says how long it is kept, `commodity` the class, empty for what is of every class; author
    and number are the record's.
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
        """The bytes in place of the entry's."""
        return encode(self, limit=_LIMIT)


def is_pruned(body: bytes) -> bool:
    """Does this claim to be the stub of an entry?"""
    return body[:2] == START


def decode_pruned(body: bytes) -> PrunedLeaf | Refusal:
    """Parse a stub."""
    return decode(PrunedLeaf, body, "pruned", limit=_LIMIT)


def entry_hash(body: bytes) -> bytes:
    """The hash of an entry in the tree: of its bytes, or the one that its stub names."""
    if is_pruned(body):
        stub = decode_pruned(body)
        if isinstance(stub, PrunedLeaf):
            return stub.leaf
    return merkle.leaf_hash(body)


def with_stub(total: int, index: int, body: bytes) -> int:
    """The sum over all stubs with one more: AdHash, as in `standing`."""
    data = index.to_bytes(8, "big") + body
    return (total + int.from_bytes(hashlib.shake_256(b"bandpact/1/pruned" + data).digest(_SUM_BYTES), "big")) % _MODULUS


def sum_bytes(total: int) -> bytes:
    """The sum as it is stored."""
    return total.to_bytes(_SUM_BYTES, "big")
