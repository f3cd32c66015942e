"""The Merkle tree against RFC 9162's own recursive definition, and against wrong proofs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain import merkle
from settlement.core.reasons import Reason


class Tree:
    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
        for index, value in enumerate(self.hashes):
            self.nodes.update({(level, at): h for level, at, h in merkle.new_nodes(index, value, self.read)})

    def read(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


def mth(hashes: list[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, by the book."""
    if not hashes:
        return merkle.EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return merkle.node_hash(mth(hashes[:k]), mth(hashes[k:]))


sizes = st.integers(1, 70)


@given(sizes, st.data())
def test_root_and_inclusion(size: int, data: st.DataObject) -> None:
    tree = Tree([bytes([i]) for i in range(size)])
    root = merkle.root(size, tree.read)
    assert root == mth(tree.hashes)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, tree.read)
    assert len(proof) <= size.bit_length()
    assert merkle.verify_inclusion(tree.hashes[index], index, size, proof, root) is None
    other = (index + 1) % size
    if other != index:
        refusal = merkle.verify_inclusion(tree.hashes[other], index, size, proof, root)
        assert refusal is not None
        assert refusal.reason is Reason.ENTRY_MISMATCH
        assert merkle.verify_inclusion(tree.hashes[index], other, size, proof, root) is not None
    assert merkle.verify_inclusion(tree.hashes[index], index, size, (*proof, bytes(32)), root) is not None
    if proof:
        assert merkle.verify_inclusion(tree.hashes[index], index, size, proof[:-1], root) is not None


@given(sizes, st.data())
def test_consistency(new: int, data: st.DataObject) -> None:
    tree = Tree([bytes([i]) for i in range(new)])
    old = data.draw(st.integers(1, new))
    old_root, new_root = merkle.root(old, tree.read), merkle.root(new, tree.read)
    proof = merkle.consistency_proof(old, new, tree.read)
    assert merkle.verify_consistency(old, new, old_root, new_root, proof) is None
    forked = merkle.verify_consistency(old, new, bytes(32), new_root, proof)
    assert forked is not None
    assert forked.reason is Reason.FORK
    assert merkle.verify_consistency(old, new, old_root, bytes(32), proof) is not None
    assert merkle.verify_consistency(old, new, old_root, new_root, (*proof, bytes(32))) is not None


@pytest.mark.attack(33)
def test_impossible_proofs_are_refused() -> None:
    leaf = merkle.leaf_hash(b"x")
    for refusal in (
        merkle.verify_inclusion(leaf, 1, 1, (), leaf),
        merkle.verify_inclusion(leaf, 0, 0, (), leaf),
        merkle.verify_inclusion(leaf, 0, 2, (b"short",), leaf),
        merkle.verify_consistency(0, 1, leaf, leaf, ()),
        merkle.verify_consistency(2, 1, leaf, leaf, ()),
    ):
        assert refusal is not None
        assert refusal.reason is Reason.PROOF


def test_rfc_example_root_of_the_empty_tree() -> None:
    """SHA-256 of the empty string (RFC 9162 section 2.1.1)."""
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
