"""Checks signatures ahead on other cores, for a reader of a large log: the same results, sooner.

Entries go to other processes (`checker`) in chunks; each returns the hashes of key, signature and message of all valid
signatures. A signature that is not among them is verified here, as without workers.
"""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Self, TypeVar

from settlement.audit.checker import CheckingProcess, name_of
from settlement.chain import keys
from settlement.chain.credentials import Registry
from settlement.chain.records import aad

CHUNK = 1024
FEW = 2 * CHUNK
"""Below this number of entries other processes are not worth starting."""
AHEAD = 2
"""Chunks under way for each process; the bound keeps memory constant."""
T = TypeVar("T")


class _Others:
    """Checking processes, one for each thread that calls `check`."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._all: list[CheckingProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._all:
            one.close()

    def check(self, publics: dict[bytes, bytes], domain: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        """Check signatures in the process of this thread; starts the process at the first call."""
        if not hasattr(self._mine, "process"):
            self._mine.process = CheckingProcess()
            self._all.append(self._mine.process)
        held: list[bytes] = self._mine.process.check(publics, domain, bodies)
        return held


class Ahead:
    """Sends entries to workers before they are read, and answers for them while they are read."""

    def __init__(self, registry: Registry, *, processes: int | None = None) -> None:
        """`registry` has the credentials whose signatures are checked ahead; `processes` defaults to all cores."""
        self._registry = registry
        self._processes = processes if processes is not None else os.cpu_count() or 1
        self._held: frozenset[bytes] = frozenset()

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Verify as `keys.verify` does, using the workers' results."""
        return name_of(public, signature, message) in self._held or keys.verify(public, signature, message)

    def read(self, rows: Iterable[tuple[T, bytes]], *, count: int) -> Iterator[T]:
        """Yield the rows, in order, of (row, entry) pairs; while a row is processed, its valid signature is known."""
        if count < FEW or self._processes < 2:
            for row, _ in rows:
                yield row
            return
        waiting: deque[tuple[tuple[T, ...], Future[list[bytes]]]] = deque()
        source = iter(rows)
        others = _Others()
        with ThreadPoolExecutor(self._processes) as pool, others:
            while True:
                while len(waiting) < AHEAD * self._processes and (chunk := list(islice(source, CHUNK))):
                    rows_out, bodies = zip(*chunk, strict=True)
                    waiting.append(
                        (rows_out, pool.submit(others.check, self._keys(), aad(self._registry.network), bodies))
                    )
                if not waiting:
                    return
                out, checked = waiting.popleft()
                self._held = frozenset(checked.result())
                yield from out

    def _keys(self) -> dict[bytes, bytes]:
        return {subject.hash: subject.public for subject in self._registry.subjects()}
