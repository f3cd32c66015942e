"""A file of turns: pieces that are appended and synced one after the other, and read back up to where it was cut off.

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
"""A file that has grown larger is begun anew."""
READ_MAX = 8 * TURNS_MAX
_HEAD = struct.Struct(">16sII")


class TurnFile:
    """The writer: a file that is empty once it is opened. Raises OSError."""

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
        """Append a turn; it is on disk when this returns. After an OSError the file is no longer to be used."""
        turn = _HEAD.pack(self._name, len(data), zlib.crc32(data)) + data
        if os.write(self._file, turn) != len(turn):
            raise OSError(28, "cut off")
        os.fdatasync(self._file)
        self.size += len(turn)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def turns_in(path: Path, name: bytes | None) -> list[bytes]:
    """The turns of that name, in order, up to where the file was cut off. Raises OSError; none where none is."""
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
