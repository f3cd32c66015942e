"""Signatures checked ahead on other cores, for whoever reads a large log: the same answers, sooner.

Entries go to worker processes a chunk at a time; what comes back is a hash of each key, signature and message that
hold together. Nothing else is answered from it: what is not among them is checked here, as ever.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from settlement.chain import cose, keys
from settlement.chain.credentials import Registry
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.records import Unproven, aad, parse

CHUNK = 2048
FEW = 2 * CHUNK
"""Fewer entries than this are not worth other processes."""
AHEAD = 2
"""Chunks under way for each process: memory stays flat."""
T = TypeVar("T")


def _name(public: bytes, signature: bytes, message: bytes) -> bytes:
    return hashlib.sha256(public + signature + message).digest()


def _check(publics: dict[bytes, bytes], network: str, bodies: Sequence[bytes]) -> list[bytes]:
    """In a worker: the names of all signatures in these entries that hold, by the keys known so far."""
    held: list[bytes] = []
    for body in bodies:
        leaf = decode_leaf(body)
        unproven = parse(leaf.record) if isinstance(leaf, Leaf) and leaf.record is not None else None
        public = publics.get(unproven.author or b"") if isinstance(unproven, Unproven) else None
        if not isinstance(unproven, Unproven) or public is None:
            continue
        message = unproven.message
        signed = cose.to_be_signed(message.protected, message.payload, aad(network))
        if keys.verify(public, message.signature, signed):
            held.append(_name(public, message.signature, signed))
    return held


class Ahead:
    """Hands entries to workers before they are read, and answers for them while they are."""

    def __init__(self, registry: Registry, *, processes: int | None = None) -> None:
        """`registry` holds whose signatures are to be checked ahead."""
        self._registry = registry
        self._processes = processes if processes is not None else os.cpu_count() or 1
        self._held: frozenset[bytes] = frozenset()

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """As `keys.verify`."""
        return _name(public, signature, message) in self._held or keys.verify(public, signature, message)

    def read(self, rows: Iterable[tuple[T, bytes]], *, count: int) -> Iterator[T]:
        """Rows in order, each given with its entry; while one is out, its signature is known where it held."""
        if count < FEW or self._processes < 2:
            for row, _ in rows:
                yield row
            return
        waiting: deque[tuple[tuple[T, ...], Future[list[bytes]]]] = deque()
        source = iter(rows)
        with ProcessPoolExecutor(self._processes, mp_context=get_context("forkserver")) as pool:
            while True:
                while len(waiting) < AHEAD * self._processes and (chunk := list(islice(source, CHUNK))):
                    rows_out, bodies = zip(*chunk, strict=True)
                    waiting.append((rows_out, pool.submit(_check, self._keys(), self._network, bodies)))
                if not waiting:
                    return
                out, checked = waiting.popleft()
                self._held = frozenset(checked.result())
                yield from out

    @property
    def _network(self) -> str:
        return self._registry.network

    def _keys(self) -> dict[bytes, bytes]:
        return {subject.hash: subject.public for subject in self._registry.subjects()}
