"""The queue of ended bursts that the oracle has to measure: samples in memory or, beyond a limit, on disk.

On a busy machine bursts end faster than they are measured. None is left out then: samples beyond MEMORY_BYTES lie in
files without a name, and beyond DISK_BYTES `pressing` says that measuring has to come before everything else.
`KnownContents` measures samples that come again, as those of a node's own source do, only once.
"""

import os
import tempfile
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np

from radio.ports import Iq16
from sim import oracle
from sim.device import BurstSegment

MEMORY_BYTES: Final = 64 << 20
DISK_BYTES: Final = 2 << 30
FILE_BYTES: Final = 64 << 20
"""File size from which a new file is begun; a file is removed when all its bursts are measured."""
KEPT_BYTES: Final = 32 << 20
"""Bytes of samples whose measurement is cached: the eight bursts that a source repeats, for ten settlements."""
TOLD_BY: Final = 251


def _octets(iq: Iq16) -> memoryview:
    return np.ascontiguousarray(iq).data.cast("B")


@dataclass(eq=False, slots=True)
class _SpoolFile:
    """A file of samples: its length, and how many bursts in it still wait."""

    file: IO[bytes]
    size: int = 0
    waiting: int = 0

    def append(self, iq: Iq16) -> int:
        """Append samples; returns their offset. Raises OSError, and then nothing was added."""
        data, begins = _octets(iq), self.size
        written = 0
        while written < len(data):
            written += os.pwrite(self.file.fileno(), data[written:], begins + written)
        self.size += written
        self.waiting += 1
        return begins

    def read(self, begins: int, size: int) -> Iq16:
        """The samples at an offset, read once. Raises OSError, EOFError."""
        data = bytearray(size)
        held = 0
        while held < size:
            held += (got := os.preadv(self.file.fileno(), [memoryview(data)[held:]], begins + held))
            if got == 0:
                raise EOFError("the spool of samples to measure was cut short")
        self.waiting -= 1
        return np.frombuffer(data, np.int16).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A segment and its burst's samples: in memory, or `size` bytes of a file from `begins` on."""

    segment: BurstSegment
    size: int
    iq: Iq16 | None
    spool: _SpoolFile | None = None
    begins: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """Samples and their measurement."""

    iq: Iq16
    content: oracle.SampleContent | None


class Backlog:
    """First-in first-out queue of ended segments to be measured, each with its whole burst's samples."""

    def __init__(self, folder: Path, *, memory_bytes: int = MEMORY_BYTES, disk_bytes: int = DISK_BYTES) -> None:
        """Keep up to `memory_bytes` in memory, then in files in `folder`."""
        self._folder = folder
        self._memory_bytes, self._disk_bytes = memory_bytes, disk_bytes
        self._waiting: deque[_Waiting] = deque()
        self._spool: _SpoolFile | None = None
        self.in_memory = 0
        """Bytes of waiting samples in memory."""
        self.on_disk = 0
        """Bytes of waiting samples in files."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def pressing(self) -> bool:
        """Whether measuring has to come first: the disk's share is full, or memory is and the disk refused."""
        return self.on_disk > self._disk_bytes or self.in_memory > self._memory_bytes

    def add(self, segment: BurstSegment, iq: Iq16) -> None:
        """Append a segment; where no disk takes its samples they stay in memory.

        Args: iq: of the whole burst, int16 of shape (n, 2).
        """
        if self.in_memory + iq.nbytes > self._memory_bytes:
            spool = self._file()
            if spool is not None:
                try:
                    begins = spool.append(iq)
                except OSError:
                    self._leave(spool)
                else:
                    self._waiting.append(_Waiting(segment, iq.nbytes, None, spool, begins))
                    self.on_disk += iq.nbytes
                    return
        self._waiting.append(_Waiting(segment, iq.nbytes, iq))
        self.in_memory += iq.nbytes

    def _file(self) -> _SpoolFile | None:
        """The file to append to, a new one where there is none or it is long; None where none can be made."""
        if self._spool is not None and self._spool.size >= FILE_BYTES:
            self._leave(self._spool)
        if self._spool is None:
            try:
                self._spool = _SpoolFile(tempfile.TemporaryFile(dir=self._folder, buffering=0))  # noqa: SIM115 - `_leave`
            except OSError:
                return None
        return self._spool

    def _leave(self, spool: _SpoolFile) -> None:
        """Stop appending to a file; it is removed once nothing in it waits."""
        if spool is self._spool:
            self._spool = None
        if spool.waiting == 0:
            spool.file.close()

    def take(self) -> tuple[BurstSegment, Iq16]:
        """Remove and return the oldest segment and its samples. Raises IndexError if empty; OSError, EOFError."""
        one = self._waiting.popleft()
        if one.spool is None:
            self.in_memory -= one.size
            return one.segment, np.empty((0, 2), np.int16) if one.iq is None else one.iq
        self.on_disk -= one.size
        iq = one.spool.read(one.begins, one.size)
        if one.spool.waiting == 0:
            self._leave(one.spool)
        return one.segment, iq

    def close(self) -> None:
        """Drop everything that waits."""
        for one in self._waiting:
            if one.spool is not None:
                one.spool.file.close()
        self._waiting.clear()
        if self._spool is not None:
            self._leave(self._spool)


class KnownContents:
    """`sim.oracle.measure` with a cache: samples equal to ones measured before are not measured again.

    Every sample is compared; one in TOLD_BY finds what to compare with.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        """Args: kept_bytes: size of the cache, bytes of different samples."""
        self._kept_bytes = kept_bytes
        self._held: OrderedDict[tuple[bytes, int, int, int, tuple[bool, bool]], _Known] = OrderedDict()
        self.bytes = 0
        """Bytes of samples in the cache."""
        self.measured = 0
        """Number of bursts measured, not only looked up."""

    def __call__(
        self, iq: Iq16, *, sample_rate_hz: int, full_scale: int, whole: tuple[bool, bool] = (True, True)
    ) -> oracle.SampleContent | None:
        """As `sim.oracle.measure`."""
        key = (iq[::TOLD_BY].tobytes(), len(iq), sample_rate_hz, full_scale, whole)
        known = self._held.get(key)
        if known is not None and np.array_equal(known.iq, iq):
            self._held.move_to_end(key)
            return known.content
        content = oracle.measure(iq, sample_rate_hz=sample_rate_hz, full_scale=full_scale, whole=whole)
        self.measured += 1
        if known is not None:
            self.bytes -= self._held.pop(key).iq.nbytes
        if iq.nbytes <= self._kept_bytes:
            self._held[key] = _Known(iq.copy(), content)
            self.bytes += iq.nbytes
        while self.bytes > self._kept_bytes:
            self.bytes -= self._held.popitem(last=False)[1].iq.nbytes
        return content
