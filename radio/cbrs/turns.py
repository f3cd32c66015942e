"""An append-only file of checksummed entries (turns), synced one by one and read back up to the first damaged one.

A turn is the name of what it belongs to, its length, its checksum and its bytes. What is older than the newest name, or
was cut off while it was written, is passed over: nobody was told of it.
"""

import os
import struct
import zlib
from pathlib import Path

from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import SECRET_MODE

TURNS_MAX = 1024 * 1024
"""A file larger than this is started anew."""
READ_MAX = 8 * TURNS_MAX
_HEAD = struct.Struct(">16sII")


class TurnFile:
    """Appends entries to a file that is emptied on opening. Raises OSError."""

    def __init__(self, path: Path, name: bytes) -> None:
        self._name, self.size = name.ljust(16, b"\0"), 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, SECRET_MODE)
        try:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(self._file)
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError:
            os.close(self._file)
            raise

    def add(self, data: bytes) -> None:
        """Append and sync one entry. After an OSError the file must not be used any more."""
        turn = _HEAD.pack(self._name, len(data), zlib.crc32(data)) + data
        if os.write(self._file, turn) != len(turn):
            raise OSError(28, "cut off")
        os.fdatasync(self._file)
        self.size += len(turn)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def turns_in(path: Path, name: bytes | None) -> list[bytes]:
    """The entries of that name, in order, up to the first damaged one; none without a file. Raises OSError."""
    try:
        data = read_small(path, limit=READ_MAX)
    except FileNotFoundError:
        return []
    found, at = [], 0
    while name is not None and len(data) - at >= _HEAD.size:
        whose, length, checksum = _HEAD.unpack_from(data, at)
        turn = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(turn) != length or zlib.crc32(turn) != checksum:
            break
        if whose == name.ljust(16, b"\0"):
            found.append(turn)
        at += _HEAD.size + length
    return found
