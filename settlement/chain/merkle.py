"""RFC 9162 Merkle tree: append, roots, inclusion and consistency proofs, and their verification.

Complete subtrees are kept by (level, index), so append, root and proofs cost O(log n) reads whatever the size.
Source: RFC 9162 section 2.1. Leaf hash = SHA-256(0x00 || leaf), node hash = SHA-256(0x01 || left || right).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from settlement.reasons import Reason, Refusal, refuse

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
NodeReader = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def new_nodes(index: int, leaf: bytes, read: NodeReader) -> Iterator[tuple[int, int, bytes]]:
    """The subtrees that become complete when the leaf hash `leaf` is appended at `index`: (level, index, hash)."""
    level, value = 0, leaf
    yield level, index, value
    while index & 1:
        value = node_hash(read(level, index - 1), value)
        level, index = level + 1, index >> 1
        yield level, index, value


def _split(count: int) -> int:
    """Largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def range_hash(low: int, high: int, read: NodeReader) -> bytes:
    """Hash of the leaves [low, high), where `low` is a multiple of the subtree size, as the RFC's MTH(D[low:high])."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return read(level, low >> level)
    middle = low + _split(count)
    return node_hash(range_hash(low, middle, read), range_hash(middle, high, read))


def root(size: int, read: NodeReader) -> bytes:
    """Root of the first `size` leaves."""
    return range_hash(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[bytes, ...]:
    """PATH(index, D[size]) of RFC 9162 section 2.1.3.1. Raises ValueError for an index outside the tree."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is outside a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(range_hash(middle, high, read))
            high = middle
        else:
            path.append(range_hash(low, middle, read))
            low = middle
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, read: NodeReader) -> tuple[bytes, ...]:
    """PROOF(old, D[new]) of RFC 9162 section 2.1.4.1. Raises ValueError unless 0 < old <= new."""
    if not 0 < old <= new:
        raise ValueError(f"no proof from size {old} to {new}")
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(range_hash(middle, high, read))
            high = middle
        else:
            path.append(range_hash(low, middle, read))
            low, whole = middle, False
    if not whole:
        path.append(range_hash(low, high, read))
    return tuple(reversed(path))


def _bad(clause: str, measured: object, required: object) -> Refusal:
    return refuse(Reason.PROOF, f"merkle.{clause}", measured, required)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> Refusal | None:
    """Check that the leaf hash sits at `index` of the tree of `size` with root `expected`. RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        return _bad("index", index, f"< {size}")
    if any(len(p) != HASH_BYTES for p in proof):
        return _bad("hash", "wrong length", f"{HASH_BYTES} bytes")
    fn, sn, value = index, size - 1, leaf
    for sibling in proof:
        if sn == 0:
            return _bad("length", len(proof), "fewer hashes")
        if fn & 1 or fn == sn:
            value = node_hash(sibling, value)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            value = node_hash(value, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        return _bad("length", len(proof), "more hashes")
    if value != expected:
        return refuse(Reason.ENTRY_MISMATCH, "merkle.root", value.hex(), expected.hex())
    return None


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> Refusal | None:
    """Check that the tree of `new` extends the tree of `old`. RFC 9162 section 2.1.4.2."""
    if not 0 < old <= new:
        return _bad("size", old, f"1 to {new}")
    if any(len(p) != HASH_BYTES for p in proof):
        return _bad("hash", "wrong length", f"{HASH_BYTES} bytes")
    if old == new:
        same = not proof and old_root == new_root
        return None if same else refuse(Reason.FORK, "merkle.same_size", old_root.hex(), new_root.hex())
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return _bad("length", 0, "at least one hash")
    return _climb_both(old, new, path, (old_root, new_root))


def _climb_both(old: int, new: int, path: list[bytes], expected: tuple[bytes, bytes]) -> Refusal | None:
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if sn == 0:
            return _bad("length", len(path), "fewer hashes")
        if fn & 1 or fn == sn:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        return _bad("length", len(path), "more hashes")
    if (first, second) != expected:
        return refuse(Reason.FORK, "merkle.consistency", "the newer tree does not extend the older", "an extension")
    return None
