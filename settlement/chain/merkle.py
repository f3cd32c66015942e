"""The Merkle tree of RFC 9162: append, roots, inclusion and consistency proofs, and their verification.

Complete subtrees are kept by (level, index), so append, root and proofs cost O(log n) reads whatever the size.
Source: RFC 9162 section 2.1. Leaf hash = SHA-256(0x00 || leaf), node hash = SHA-256(0x01 || left || right).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from settlement.core.reasons import Reason, Refusal, refuse

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
NodeReader = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


Frontier = tuple[bytes, ...]
NO_LEAVES: Frontier = ()


def grown(frontier: Frontier, index: int, leaf: bytes) -> tuple[Frontier, list[tuple[int, int, bytes]]]:
    """Append the leaf hash `leaf` at `index` to a tree whose largest complete subtrees are `frontier`, left to right.

    Returns the new frontier and the subtrees that became complete: (level, index, hash).
    """
    kept, level, value = len(frontier), 0, leaf
    nodes = [(level, index, value)]
    while index & 1:
        kept -= 1
        value = node_hash(frontier[kept], value)
        level, index = level + 1, index >> 1
        nodes.append((level, index, value))
    return (*frontier[:kept], value), nodes


def new_nodes(index: int, leaf: bytes, read: NodeReader) -> Iterator[tuple[int, int, bytes]]:
    """The subtrees that become complete when the leaf hash `leaf` is appended at `index`: (level, index, hash)."""
    level, value = 0, leaf
    yield level, index, value
    while index & 1:
        value = node_hash(read(level, index - 1), value)
        level, index = level + 1, index >> 1
        yield level, index, value


def subtrees(low: int, high: int) -> list[tuple[int, int]]:
    """The complete subtrees (level, index) that the leaves [low, high) fall into, left to right.

    `low` is a multiple of the largest power of two that is at most `high` - `low`.
    """
    found = []
    while low < high:
        level = (high - low).bit_length() - 1
        found.append((level, low >> level))
        low += 1 << level
    return found


def fold(hashes: Sequence[bytes]) -> bytes:
    """Hash complete subtrees that shrink from left to right into one, as the RFC's MTH; EMPTY_ROOT for none."""
    if not hashes:
        return EMPTY_ROOT
    value = hashes[-1]
    for left in reversed(hashes[:-1]):
        value = node_hash(left, value)
    return value


def range_hash(low: int, high: int, read: NodeReader) -> bytes:
    """Return the hash of the leaves [low, high), `low` a multiple of the subtree size: the RFC's MTH(D[low:high])."""
    return fold([read(level, index) for level, index in subtrees(low, high)])


def root(size: int, read: NodeReader) -> bytes:
    """Return the root of the first `size` leaves."""
    return range_hash(0, size, read)


def _split(count: int) -> int:
    """Return the largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The leaf ranges whose hashes are PATH(index, D[size]) of RFC 9162 section 2.1.3.1, in the order of the proof.

    Raises ValueError for an index outside the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is outside a tree of {size}")
    ranges: list[tuple[int, int]] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """The leaf ranges whose hashes are PROOF(old, D[new]) of RFC 9162 section 2.1.4.1, in the order of the proof.

    Raises ValueError unless 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ValueError(f"no proof from size {old} to {new}")
    ranges: list[tuple[int, int]] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low, whole = middle, False
    if not whole:
        ranges.append((low, high))
    return ranges[::-1]


def proof_of(ranges: Iterable[tuple[int, int]], read: NodeReader) -> tuple[bytes, ...]:
    """Return the hashes of leaf ranges, in order."""
    return tuple(range_hash(low, high, read) for low, high in ranges)


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[bytes, ...]:
    """Return the proof that a leaf is in the tree of `size`. Raises ValueError for an index outside the tree."""
    return proof_of(inclusion_ranges(index, size), read)


def consistency_proof(old: int, new: int, read: NodeReader) -> tuple[bytes, ...]:
    """Return the proof that the tree of `new` extends that of `old`. Raises ValueError unless 0 < old <= new."""
    return proof_of(consistency_ranges(old, new), read)


def _bad(clause: str, measured: object, required: object) -> Refusal:
    return refuse(Reason.PROOF, f"merkle.{clause}", measured, required)


def root_from(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | Refusal:
    """Compute the root from a leaf hash at `index` of a tree of `size` and its proof. RFC 9162 section 2.1.3.2."""
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
    return value if sn == 0 else _bad("length", len(proof), "more hashes")


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> Refusal | None:
    """Check that the leaf hash sits at `index` of the tree of `size` with root `expected`. RFC 9162 section 2.1.3.2."""
    made = root_from(leaf, index, size, proof)
    if isinstance(made, Refusal) or made == expected:
        return made if isinstance(made, Refusal) else None
    return refuse(Reason.ENTRY_MISMATCH, "merkle.root", made.hex(), expected.hex())


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
