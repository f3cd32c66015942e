"""A log whose old entries are dropped and whose pages are packed, as a node does it, for tests.

Its entries are renewals of one settlement, with the columns that a node's have; nothing in them is signed.
"""

import os
from types import SimpleNamespace
from typing import Any

from settlement.chain.keys import SigningKey
from settlement.chain.leaf import OWN, Leaf, admitted_leaf, decode_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.prunedleaf import PrunedLeaf, decode_pruned, is_pruned
from settlement.chain.records import Attestation, Frame, Record, digest
from settlement.records.lease import Renew
from settlement.records.registry import TYPE_OF
from settlement.state.logpacker import LogPacker
from settlement.state.retention import CURSOR, RENEWALS
from settlement.state.step import Identity, Step
from tests.settlement.world import NETWORK, fix

AUTHOR, SETTLEMENT = digest(b"author"), digest(b"settlement")
CURSOR_OF_RENEWALS = f"{CURSOR}{RENEWALS}"
BODY_BYTES = 400


def raw_of(number: int, length: int = BODY_BYTES) -> bytes:
    """The bytes of an entry's record."""
    return b"entry %d" % number + bytes(max(0, length - 16))


def grow(log: Lineage, count: int, *, typ: str = TYPE_OF[Renew], length: int = BODY_BYTES) -> None:
    """Add entries, inside a transaction."""
    for number in range(log.size, log.size + count):
        raw, now = raw_of(number, length), fix(number)
        frame = Frame(network=NETWORK, author=AUTHOR, seq=number + 1, attestation=Attestation.of(now))
        body: Any = SimpleNamespace(sid=SETTLEMENT)
        record = Record(raw=raw, digest=digest(raw), typ=typ, kid=bytes(32), claims=None, frame=frame, body=body)
        log.append(admitted_leaf(raw, origin=OWN, now=now.time), record)


def let_go(log: Lineage, count: int) -> None:
    """Drop the bodies of the oldest entries that still have one, inside a transaction."""
    first = log.counted(CURSOR_OF_RENEWALS)
    for index in range(first, first + count):
        leaf = decode_leaf(log.leaf_body(index))
        assert isinstance(leaf, Leaf)
        stub = PrunedLeaf(
            leaf=bytes(32), subject=leaf.subject, origin=OWN, arrived_ns=leaf.arrived_latest_ns,
            kind=RENEWALS, commodity="cbrs", author=AUTHOR, seq=index + 1,
        )  # fmt: skip
        log.prune(index, stub)
    log.count(CURSOR_OF_RENEWALS, count)


def step_of(log: Lineage, key: SigningKey, at_s: float) -> Step:
    """A step of the log's owner, for operations inside a transaction."""
    identity = Identity(key=key, credential=AUTHOR, network=NETWORK)
    return Step(identity=identity, lineage=log, now=fix(at_s), rule=bytes(32), entropy=os.urandom)


def packed(log: Lineage, key: SigningKey) -> int:
    """Pack one stretch as a node does that has just started, inside a transaction; returns how many rows moved."""
    return LogPacker(log).act(step_of(log, key, 0))


def check_entries(log: Lineage, first: int = 0, length: int = BODY_BYTES) -> int:
    """Check that every entry has its original body, or none; returns how many have none."""
    gone = 0
    for index, body in enumerate(log.bodies(first), first):
        found = decode_pruned(body) if is_pruned(body) else decode_leaf(body)
        assert isinstance(found, PrunedLeaf | Leaf)
        assert found.subject == digest(raw_of(index, length))
        assert isinstance(found, PrunedLeaf) or found.record == raw_of(index, length)
        gone += isinstance(found, PrunedLeaf)
    return gone


def pages(log: Lineage) -> tuple[int, int]:
    """Number of pages of the file as its writer sees it, and of free pages."""
    return int(log._one("PRAGMA page_count")), int(log._one("PRAGMA freelist_count"))
