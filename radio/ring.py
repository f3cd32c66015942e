"""A sample ring buffer in a memory-mapped file: one writer, one reader, no copy through a socket.

A slot is a header and a block of int16 pairs. The writer fills slots in turn and announces each by its ticket over the
link; the reader copies and then checks that the ticket is still the one announced, so an overrun is seen, never read.
"""

import mmap
import os
from pathlib import Path

import numpy as np

from radio.ports import Iq16

_HEADER_BYTES = 64


class RingError(Exception):
    """The ring's file cannot be made or does not fit; the message names the file and the mend."""


class SampleRing:
    """`slots` blocks of at most `slot_samples` int16 pairs in the file at `path`."""

    def __init__(self, path: Path, *, slots: int, slot_samples: int, create: bool) -> None:
        self._stride = _HEADER_BYTES + 4 * slot_samples
        self._slots, self.slot_samples = slots, slot_samples
        size = slots * self._stride
        try:
            if create and (not path.is_file() or path.stat().st_size != size):
                # Never truncate a file that another process has mapped: its next access would end it (SIGBUS).
                path.unlink(missing_ok=True)
                with path.open("xb") as fresh:
                    fresh.truncate(size)
            with path.open("r+b") as file:
                if create:
                    # Reserve the disk space now: a page without space would end writer and reader much later (SIGBUS).
                    os.posix_fallocate(file.fileno(), 0, size)
                self._map = mmap.mmap(file.fileno(), size)
        except (OSError, ValueError) as exc:
            raise RingError(f"cannot map the sample ring {path}: {exc}; check space and permissions") from exc
        self._bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._ticket = 0
        if create:
            for slot in range(slots):
                self._header(slot)[0] = 0

    def _header(self, ticket: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        at = (ticket % self._slots) * self._stride
        return self._bytes[at : at + 16].view(np.int64)

    def _block(self, ticket: int, samples: int) -> Iq16:
        at = (ticket % self._slots) * self._stride + _HEADER_BYTES
        return self._bytes[at : at + 4 * samples].view(np.int16).reshape(samples, 2)

    def write(self, iq: Iq16) -> int:
        """Write a block; returns its ticket. Raises RingError when the block is larger than a slot."""
        if len(iq) > self.slot_samples:
            raise RingError(f"a block of {len(iq)} samples does not fit a slot of {self.slot_samples}")
        self._ticket += 1
        header = self._header(self._ticket)
        header[0] = 0
        self._block(self._ticket, len(iq))[:] = iq
        header[1] = len(iq)
        header[0] = self._ticket
        return self._ticket

    def read(self, ticket: int) -> Iq16 | None:
        """Read a copy of a block; None when it was overwritten, or the ticket was never written."""
        header = self._header(ticket)
        if ticket <= 0 or int(header[0]) != ticket or not 0 <= int(header[1]) <= self.slot_samples:
            return None
        copy = self._block(ticket, int(header[1])).copy()
        return copy if int(header[0]) == ticket else None
