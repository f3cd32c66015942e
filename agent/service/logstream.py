"""Where the service's log lines go: a stream that takes what it can at once, and never keeps the node's loop waiting.

A pipe that nobody reads, a terminal that was stopped with Ctrl-S, a full disk: whatever does not take a line loses it.
The node's own record is its lineage, and `events.jsonl` has every event.
"""

import io
import os
import select
from typing import Final, TextIO

CHUNK_BYTES: Final = select.PIPE_BUF
"""What poll(2) calls writable takes so many bytes without blocking (pipe(7))."""


class LogStream(io.TextIOBase):
    """Writes lines to a stream's descriptor where it takes them at once; `lost` counts those that it did not."""

    def __init__(self, beneath: TextIO) -> None:
        """`beneath`: an ordinary stream; one without a descriptor is in memory and never blocks."""
        self._beneath, self.lost = beneath, 0
        try:
            self._fd: int | None = beneath.fileno()
        except (OSError, ValueError):
            self._fd = None

    def write(self, text: str) -> int:
        """Write a line, or lose it whole, or, where the reader stops in the middle of a long one, its end."""
        if self._fd is None:
            return self._beneath.write(text)
        data = text.encode(self._beneath.encoding or "utf-8", "backslashreplace")
        self.lost += not _taken(self._fd, data)
        return len(text)

    def flush(self) -> None:
        """No line is held back here; a stream in memory is flushed."""
        if self._fd is None:
            self._beneath.flush()

    def writable(self) -> bool:
        """Whether lines can be written: always."""
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
