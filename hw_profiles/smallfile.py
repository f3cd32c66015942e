"""Reads small files of a node or a desk (configurations, rules, keys, states) with a size limit.

A file is read only where it is a regular one, so that nothing waits for a pipe or a device, and only up to a
size, so that no file fills the memory.
"""

import errno
import stat
from pathlib import Path

PIECE = 1 << 20
LIMIT = 1 << 20
"""Size limit in bytes: far above any honest file, small enough for every parser."""


def read_small(path: Path, *, limit: int = LIMIT) -> bytes:
    """The bytes of a small file. Raises OSError, also for a file that is too large or not regular."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        what = "is a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        number = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
        raise OSError(number, what, str(path))
    data = bytearray()
    with path.open("rb") as file:  # in pieces: one read of `limit` bytes would allocate all of it first
        while len(data) <= limit and (piece := file.read(min(PIECE, limit + 1 - len(data)))):
            data += piece
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than any such file ({limit} bytes at the most)", str(path))
    return bytes(data)


class NotText(OSError, ValueError):
    """A file is not UTF-8; counts as OSError and as ValueError."""


def read_small_text(path: Path, *, limit: int = LIMIT) -> str:
    """The text of a small UTF-8 file. Raises OSError as `read_small`, and NotText."""
    try:
        return read_small(path, limit=limit).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as exc:
        raise NotText(errno.EILSEQ, "no UTF-8 text", str(path)) from exc
