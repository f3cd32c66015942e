"""A signed directory of all credentials of a network in one file, with their transport keys and revocations.

    rows      one for each credential, 73 bytes, by the credential's hash
    tree      every complete subtree of the RFC 9162 Merkle tree over the rows, level by level
    head      the authority's C2SP checkpoint of that tree, in the file's first kibibyte

A reader trusts only the head's signature: a row comes with its proof in the signed tree, and "not there" with the two
neighbouring rows. A look-up reads some forty pieces of a few dozen bytes, however many rows there are; nothing of the
file stays in memory. The credentials themselves are fetched from their owners when a neighbour is first met, and are
admitted by their own signatures.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, Self

from settlement.chain import merkle
from settlement.chain.checkpoint import Head, open_note, origin_of, sign_head
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Reason, Refusal, refuse

HASH = 32
ROW = 2 * HASH + 4 + 4 + 1
HEAD_BYTES = 1024
LEAVE = "/identities"
ROWS_MAX = 1 << 32
REVOKED = 1
Read = Callable[[int, int], bytes]
"""Reads bytes of the file: offset and count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRow:
    """One credential: its hash, the transport key it binds, its issuer's number, its status index, revoked or not."""

    credential: bytes
    transport_key: bytes
    issuer: int
    status_index: int
    revoked: bool = False

    def encoded(self) -> bytes:
        """Return the row's 73 bytes, as the tree hashes them."""
        numbers = self.issuer.to_bytes(4, "big") + self.status_index.to_bytes(4, "big")
        return self.credential + self.transport_key + numbers + bytes([REVOKED * self.revoked])


def _decoded(data: bytes) -> IdentityRow | Refusal:
    if len(data) != ROW or data[-1] not in (0, REVOKED):
        return refuse(Reason.MALFORMED, "identities.row", f"{len(data)} bytes", f"{ROW} bytes that end in 0 or 1")
    return IdentityRow(
        credential=data[:HASH],
        transport_key=data[HASH : 2 * HASH],
        issuer=int.from_bytes(data[2 * HASH : 2 * HASH + 4], "big"),
        status_index=int.from_bytes(data[2 * HASH + 4 : -1], "big"),
        revoked=data[-1] == REVOKED,
    )


def write_directory(file: BinaryIO, network: str, key: SigningKey, rows: Iterable[IdentityRow]) -> Head:
    """Write a directory of these rows, signed; returns its head. Raises ValueError for a credential named twice."""
    encoded = sorted(row.encoded() for row in rows)
    if any(one[:HASH] == other[:HASH] for one, other in pairwise(encoded)):
        raise ValueError("a credential is in the directory twice")
    file.write(bytes(HEAD_BYTES))
    file.writelines(encoded)
    level = [merkle.leaf_hash(row) for row in encoded]
    levels = [level]
    while len(level) > 1:
        level = [merkle.node_hash(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        levels.append(level)
    for one in levels:
        file.writelines(one)
    size = len(encoded)
    root = merkle.root(size, lambda depth, index: levels[depth][index])
    head = Head(origin=origin_of(network, key.public) + LEAVE, size=size, root=root)
    note = sign_head(head, key).encode()
    file.seek(0)
    file.write(len(note).to_bytes(2, "big") + note)
    return head


class IdentityDirectory:
    """A directory under a head that its authority signed; each look-up proves the row that it returns."""

    def __init__(self, read: Read, head: Head) -> None:
        self._read, self.head = read, head
        self._levels: list[int] = []
        at = HEAD_BYTES + head.size * ROW
        for depth in range(head.size.bit_length()):
            self._levels.append(at)
            at += (head.size >> depth) * HASH

    @classmethod
    def opened(cls, read: Read, network: str, public: bytes, *, least: int = 0) -> Self | Refusal:
        """Check the head: signed by the authority, for this network, with no fewer rows than seen before (`least`)."""
        start = read(0, HEAD_BYTES)
        length = int.from_bytes(start[:2], "big")
        head = open_note(start[2 : 2 + length].decode("utf-8", "replace"), public)
        if isinstance(head, Refusal):
            return head
        origin = origin_of(network, public) + LEAVE
        if head.origin != origin:
            return refuse(Reason.DOMAIN, "identities.origin", head.origin, origin)
        if not least <= head.size < ROWS_MAX:
            return refuse(Reason.ROLLBACK, "identities.size", head.size, f"{least} rows or more")
        return cls(read, head)

    @classmethod
    def at(cls, file: BinaryIO, network: str, public: bytes, *, least: int = 0) -> Self | Refusal:
        """Open the directory in an open file, with the checks of `opened`."""

        def read(offset: int, count: int) -> bytes:
            file.seek(offset)
            return file.read(count)

        return cls.opened(read, network, public, least=least)

    def find(self, credential: bytes) -> IdentityRow | Refusal | None:
        """Return a credential's row, proven; None where it is surely absent; a refusal where neither is proven."""
        low, high = 0, self.head.size
        while low < high:
            middle = (low + high) // 2
            if self._bytes(middle)[:HASH] < credential:
                low = middle + 1
            else:
                high = middle
        here = self._proven(low) if low < self.head.size else None
        if isinstance(here, Refusal):
            return here
        if here is not None and here.credential == credential:
            return here
        before = self._proven(low - 1) if low else None
        if isinstance(before, Refusal):
            return before
        between = (before is None or before.credential < credential) and (here is None or credential < here.credential)
        return None if between else refuse(Reason.PROOF, "identities.order", credential.hex()[:16], "rows in order")

    def _bytes(self, index: int) -> bytes:
        return self._read(HEAD_BYTES + index * ROW, ROW)

    def _node(self, level: int, index: int) -> bytes:
        return self._read(self._levels[level] + index * HASH, HASH)

    def _proven(self, index: int) -> IdentityRow | Refusal:
        body, size = self._bytes(index), self.head.size
        proof = merkle.inclusion_proof(index, size, self._node)
        refusal = merkle.verify_inclusion(merkle.leaf_hash(body), index, size, proof, self.head.root)
        return refusal if refusal is not None else _decoded(body)
