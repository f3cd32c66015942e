"""Compares signed heads of logs, wherever an auditor finds them, with the logs at hand, to detect forks.

A node often signs heads of its log: in the checkpoints that neighbours are to cosign, and in the proofs beside its
CONFIRMs. Each head names one tree. Where the log at hand has another tree at that size, or two heads of one size have
different roots, that is a FORK: the owner showed different logs to different parties, or changed its log afterwards.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from settlement.chain import merkle
from settlement.chain.bodies import Checkpoint, Cosignature, Evidence
from settlement.chain.checkpoint import Head, open_note, origin_of
from settlement.chain.codec import decode
from settlement.chain.credentials import Registry, Subject
from settlement.chain.prunedleaf import entry_hash
from settlement.chain.records import Record, Unproven, parse
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundHead:
    """A head signed by its owner: the note, its source, and the statements about its tree.

    `proof` is the consistency proof from the head of size `old_size`. `leaf` is the hash of an entry that is proven to
    be at `index` of the tree. `after` is the index, in the owner's log, of the record with this head: the log had at
    most that many entries when the head was signed.
    """

    head: Head
    note: str
    holder: str
    where: str
    old_size: int = 0
    proof: tuple[bytes, ...] = ()
    leaf: bytes | None = None
    index: int = 0
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A fork: two trees of one log at one size, by two signed heads, or by a signed head and the log's entries.

    `signed` is the note of the head that was found, `holder` the log in which it was; `other` is the contradicting
    root, of the head in `other_note` or of the entries. `consistency` proves that the entries' root at `size` is part
    of the newest head of the log at hand.
    """

    origin: str
    size: int
    signed: str
    holder: str
    other: bytes
    head_size: int
    other_note: str = ""
    consistency: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        """Return the fork as one line for people."""
        against = "other signed heads" if self.other_note and not self.consistency else "the entries here"
        held = f"{self.holder} holds a head of {self.origin} at {self.head_size}, signed by its owner"
        return f"FORK: {held}; at {self.size} {against} say otherwise"


class Heads:
    """Finds heads in the records and stored rows of one log; owners are those that its registry knows."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._owners: dict[str, Subject] = {}

    def _owner(self, origin: str) -> Subject | None:
        if origin not in self._owners:
            known = self._registry.subjects()
            self._owners = {origin_of(self._registry.network, one.public): one for one in known}
        return self._owners.get(origin)

    def opened(self, note: str) -> Head | None:
        """Return the head of a note signed by its owner; None where no known owner signed it."""
        owner = self._owner(note.partition("\n")[0])
        head = open_note(note, owner.public) if owner is not None else None
        return head if isinstance(head, Head) else None

    def of_record(self, record: Record, holder: str, own_at: int | None) -> Iterator[FoundHead]:
        """Yield every head in an admitted record; `own_at`: the record's index, if it is in its author's own log."""
        body = record.body
        kind = record.row.body
        if kind is Checkpoint:
            yield from (replace(one, after=own_at) for one in self._one(body.note, holder, "a checkpoint", body))
        elif kind is Cosignature:
            yield from self._one(body.note, holder, "a cosignature")
        elif kind is Evidence:
            yield from self._in_evidence(body, holder, "evidence")

    def _one(self, note: str, holder: str, where: str, claim: Checkpoint | None = None) -> Iterator[FoundHead]:
        head = self.opened(note)
        if head is not None:
            old_size, proof = (claim.old_size, claim.proof) if claim is not None else (0, ())
            yield FoundHead(head=head, note=note, holder=holder, where=where, old_size=old_size, proof=proof)

    def _in_evidence(self, body: Evidence, holder: str, where: str) -> Iterator[FoundHead]:
        """Yield the heads in evidence, which has bare notes or checkpoint records."""
        for raw in (body.first, body.second):
            unproven = parse(raw)
            if not isinstance(unproven, Unproven):
                yield from self._one(raw.decode("utf-8", "replace"), holder, where)
                continue
            author = self._registry.get(unproven.author)
            record = unproven.prove(author.public, self._registry.network) if author is not None else None
            if isinstance(record, Record) and isinstance(record.body, Checkpoint):
                yield from self._one(record.body.note, holder, where, record.body)

    def of_artifact(self, raw: bytes, holder: str) -> Iterator[FoundHead]:
        """Return the head in the proof of a settlement."""
        artifact = decode(Artifact, raw, "artifact", limit=ARTIFACT_LIMIT)
        if not isinstance(artifact, Artifact):
            return
        proof, leaf = artifact.proof, merkle.leaf_hash(artifact.proof.leaf)
        for one in self._one(proof.checkpoint, holder, "an artifact"):
            held = merkle.verify_inclusion(leaf, proof.index, one.head.size, proof.path, one.head.root) is None
            yield replace(one, leaf=leaf, index=proof.index) if held else one

    def of_note(self, note: str, holder: str) -> Iterator[FoundHead]:
        """Return the head of a note that a witness stored."""
        yield from self._one(note, holder, "what it saw as a witness")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTree:
    """The tree of a log at hand, recomputed from its entries at each request; stores nothing."""

    origins: tuple[str, ...]
    size: int
    note: str
    entries: Callable[[], Iterable[bytes]]

    def roots(self, sizes: set[int]) -> dict[int, bytes]:
        """Return the root at each of these sizes."""
        found = {0: merkle.EMPTY_ROOT} if 0 in sizes else {}
        frontier, last = merkle.NO_LEAVES, max(sizes, default=0)
        for index, body in enumerate(self.entries()):
            if index >= last:
                break
            frontier, _ = merkle.grown(frontier, index, entry_hash(body))
            if index + 1 in sizes:
                found[index + 1] = merkle.fold(frontier)
        return found

    def places(self, leaves: set[bytes]) -> dict[bytes, int]:
        """Return the index of the first entry with each of these hashes."""
        found: dict[bytes, int] = {}
        for index, body in enumerate(self.entries() if leaves else ()):
            name = entry_hash(body)
            if name in leaves:
                found.setdefault(name, index)
        return found

    def consistency(self, size: int) -> tuple[bytes, ...]:
        """Return the proof that the tree at `size` is a part of the whole; costly in memory, as it holds every node."""
        nodes: dict[tuple[int, int], bytes] = {}
        for index, body in enumerate(self.entries()):
            for level, at, value in merkle.new_nodes(index, entry_hash(body), lambda lv, i: nodes[lv, i]):
                nodes[level, at] = value
        return merkle.consistency_proof(size, self.size, lambda lv, i: nodes[lv, i])


def forks(heads: Iterable[FoundHead], trees: Iterable[LogTree]) -> Iterator[Fork]:
    """Yield every size at which a log has two trees, once each."""
    by_log: dict[str, list[FoundHead]] = {}
    named = {origin: tree.origins[0] for tree in trees for origin in tree.origins}
    for found in heads:
        by_log.setdefault(named.get(found.head.origin, found.head.origin), []).append(found)
    held = {tree.origins[0]: tree for tree in trees}
    for log, found_heads in by_log.items():
        tree = held.get(log)
        yield from _against_each_other(found_heads)
        if tree is not None:
            yield from _against_tree(found_heads, tree)


def _against_each_other(found_heads: list[FoundHead]) -> Iterator[Fork]:
    first: dict[int, FoundHead] = {}
    told: set[int] = set()
    for found in found_heads:
        before = first.setdefault(found.head.size, found)
        if before.head.root != found.head.root and found.head.size not in told:
            told.add(found.head.size)
            yield Fork(
                origin=found.head.origin,
                size=found.head.size,
                signed=found.note,
                holder=found.holder,
                other=before.head.root,
                head_size=found.head.size,
                other_note=before.note,
            )


def _against_tree(found_heads: list[FoundHead], tree: LogTree) -> Iterator[Fork]:
    sizes = {f.head.size for f in found_heads if f.head.size <= tree.size}
    sizes |= {f.old_size for f in found_heads if 0 < f.old_size <= tree.size}
    roots, told = tree.roots(sizes), set[int]()
    places = tree.places({f.leaf for f in found_heads if f.leaf is not None and f.head.size > tree.size})
    for found in found_heads:
        size = found.head.size
        other = roots.get(size)
        if other is None:
            # The log at hand is shorter than the head: only its part up to the old size, or its order, can contradict.
            other = _part_contradicts(found, roots) or _shorter(found, tree, places)
            size = found.old_size if found.old_size in roots else size
        elif other == found.head.root:
            other = None
        if other is not None and size not in told:
            told.add(size)
            yield Fork(
                origin=found.head.origin,
                size=size,
                signed=found.note,
                holder=found.holder,
                other=other,
                head_size=found.head.size,
                other_note=tree.note,
                consistency=tree.consistency(size) if 0 < size <= tree.size else (),
            )


def _shorter(found: FoundHead, tree: LogTree, places: dict[bytes, int]) -> bytes | None:
    """Return a hash that shows entries were removed from a log that is shorter than a signed head; else None.

    Either the owner's record of the head lies at an index below the head's size, or the entry that the head's proof
    puts at `index` lies elsewhere or is absent from the part that the log has.
    """
    if found.after is not None and found.head.size > found.after:
        return found.head.root
    if found.leaf is None:
        return None
    at = places.get(found.leaf)
    moved = at is not None and at != found.index
    return found.leaf if moved or (at is None and found.index < tree.size) else None


def _part_contradicts(found: FoundHead, roots: dict[int, bytes]) -> bytes | None:
    """Return the root of the entries that a later head claims to extend but does not."""
    before = roots.get(found.old_size) if found.old_size else None
    if before is None:
        return None
    broken = merkle.verify_consistency(found.old_size, found.head.size, before, found.head.root, found.proof)
    return before if broken is not None else None
