"""A log stream that never blocks the node's loop: it writes what the descriptor takes at once and drops the rest.

A pipe without a reader, a terminal stopped with Ctrl-S or a full disk loses the lines that it does not take.
The node's authoritative record is its lineage, and `events.jsonl` has every event.
"""

import io
import os
import select
from typing import Final, TextIO

CHUNK_BYTES: Final = select.PIPE_BUF
"""Number of bytes that a descriptor takes without blocking when poll(2) calls it writable (pipe(7))."""


class LogStream(io.TextIOBase):
    """Writes lines to a stream's descriptor where it takes them at once; `lost` counts the lines dropped."""

    def __init__(self, beneath: TextIO) -> None:
        """Args: beneath: the stream to write to; one without a descriptor is in memory and never blocks."""
        self._beneath, self.lost = beneath, 0
        try:
            self._fd: int | None = beneath.fileno()
        except (OSError, ValueError):
            self._fd = None

    def write(self, text: str) -> int:
        """Write a line; drops it whole, or drops its end where the reader stops in the middle of a long one."""
        if self._fd is None:
            return self._beneath.write(text)
        data = text.encode(self._beneath.encoding or "utf-8", "backslashreplace")
        self.lost += not _taken(self._fd, data)
        return len(text)

    def flush(self) -> None:
        """Flush a stream in memory; lines to a descriptor are not buffered."""
        if self._fd is None:
            self._beneath.flush()

    def writable(self) -> bool:
        """Return True: lines can always be written."""
        return True


def _taken(descriptor: int, data: bytes) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    try:
        for at in range(0, len(data), CHUNK_BYTES):
            if not poll.poll(0):
                return False
            os.write(descriptor, data[at : at + CHUNK_BYTES])
    except OSError:
        return False
    return True
