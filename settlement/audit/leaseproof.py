"""Proof that a lease's state and history are in a signed log: its entries, and their paths to the signed head.

The proof shows that every transition in it was logged, in this order. It cannot show that none was left out: that takes
the whole log.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from settlement.audit.lease import Lease, leases, read_entries
from settlement.chain import merkle
from settlement.chain.checkpoint import Head, open_note, origin_of
from settlement.chain.credentials import Registry, Subject
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.prunedleaf import entry_hash
from settlement.core.reasons import Reason, Refusal, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """An entry of a log, and the path from it to the root of the head."""

    index: int
    body: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseProof:
    """All that a verifier needs, beside the trust anchors, to check a lease's state and history.

    `note` is the signed head of the log; `entries` are those of the lease and the credentials that they need.
    """

    sid: bytes
    entries: tuple[ProvenEntry, ...]
    note: str


def prove_lease(lease: Lease, bodies: Sequence[bytes], registry: Registry, note: str) -> LeaseProof:
    """Extract a lease's entries, and the credentials they need, from the log whose head `note` signs."""
    nodes: dict[tuple[int, int], bytes] = {}
    for index, body in enumerate(bodies):
        for level, at, value in merkle.new_nodes(index, entry_hash(body), lambda lv, i: nodes[lv, i]):
            nodes[level, at] = value
    chains = {raw for subject in registry.subjects() for raw in subject.chain}
    leaves = [decode_leaf(body) for body in bodies]
    credentials = {n for n, leaf in enumerate(leaves) if isinstance(leaf, Leaf) and leaf.record in chains}
    size = len(bodies)
    return LeaseProof(
        sid=lease.sid,
        entries=tuple(
            ProvenEntry(
                index=index,
                body=bodies[index],
                path=merkle.inclusion_proof(index, size, lambda lv, i: nodes[lv, i]),
            )
            for index in sorted({*lease.entries, *credentials})
        ),
        note=note,
    )


def verify_lease(proof: LeaseProof, *, network: str, anchors: Iterable[bytes]) -> Lease | Refusal:
    """Check every entry against the signed head, then build the view from those entries and nothing else."""
    registry = Registry(network, anchors)
    read = list(read_entries(((e.index, e.body) for e in proof.entries), registry))
    head = _head(proof.note, registry)
    if isinstance(head, Refusal):
        return head
    for entry in proof.entries:
        refusal = merkle.verify_inclusion(merkle.leaf_hash(entry.body), entry.index, head.size, entry.path, head.root)
        if refusal is not None:
            return refusal
    found = leases(read).get(proof.sid)
    return found or refuse(Reason.UNKNOWN_SID, "lease.sid", proof.sid.hex()[:16], "a lease in these entries")


def _head(note: str, registry: Registry) -> Head | Refusal:
    origin = note.partition("\n")[0]
    owner: Subject | None = next(
        (s for s in registry.subjects() if origin_of(registry.network, s.public) == origin), None
    )
    if owner is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "lease.head", origin[:80], "a credential among the entries")
    return open_note(note, owner.public)
