"""Writes a recording while it is made: samples go to a hidden temporary file, both files are named once complete.

A PATH that ends in `.sigmf` becomes an archive, the plain tar that SigMF means, without a second copy of the samples.
"""

import hashlib
import os
import secrets
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from hw_profiles.wholefile import write_whole
from radio.recording.container import ARCHIVE, DATA, META

BLOCK: Final = tarfile.BLOCKSIZE
TAIL_BLOCKS: Final = 2


def base_of(path: Path) -> tuple[Path, bool]:
    """The path without suffix that both files share, and whether an archive is asked for."""
    for suffix in (META, DATA, ARCHIVE):
        if path.name.endswith(suffix) and len(path.name) > len(suffix):
            return path.with_name(path.name.removesuffix(suffix)), suffix == ARCHIVE
    return path, False


class RecordingWriter:
    """A recording being written; a context manager that leaves no file unless `finish` was called.

    Raises: FileExistsError where a file of that name is there, any other OSError where it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        """Args: path with or without a SigMF suffix; `.sigmf` asks for an archive."""
        self._base, self._archive = base_of(path)
        self._digest = hashlib.sha512()
        self._size = 0
        self._data = self._named(ARCHIVE if self._archive else DATA)
        self.path = self._data if self._archive else self._named(META)
        for one in {self._data, self.path}:
            if os.path.lexists(one):
                raise FileExistsError(17, os.strerror(17), str(one))
        self._waiting = self._data.with_name(f".{self._data.name[:200]}.{secrets.token_hex(4)}.part")
        self._out: BinaryIO | None = None

    def _named(self, suffix: str) -> Path:
        return self._base.with_name(self._base.name + suffix)

    def __enter__(self) -> Self:
        """Open the temporary file."""
        handle = os.open(self._waiting, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._out = out = os.fdopen(handle, "wb", buffering=1 << 20)
        if self._archive:
            out.write(self._heads(0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, and delete the temporary file."""
        with suppress(OSError):
            if self._out is not None:
                self._out.close()
        with suppress(OSError):
            self._waiting.unlink(missing_ok=True)

    def write(self, raw: bytes) -> None:
        """Append sample bytes in the file's format."""
        if self._out is None:
            raise OSError("the recording was not begun")
        self._digest.update(raw)
        self._out.write(raw)
        self._size += len(raw)

    def finish(self, metadata: Callable[[str], bytes]) -> None:
        """Complete the recording and name its files.

        Args: metadata makes the bytes of the metadata from the samples' SHA-512, in hexadecimal.
        """
        if self._out is None:
            raise OSError("the recording was not begun")
        raw = metadata(self._digest.hexdigest())
        if self._archive:
            self._out.write(bytes(-self._size % BLOCK) + self._member(META, len(raw)) + raw)
            self._out.write(bytes(-len(raw) % BLOCK + TAIL_BLOCKS * BLOCK))
            self._out.seek(0)
            self._out.write(self._heads(self._size))
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        _take_name(self._waiting, self._data)
        if self._archive:
            return
        try:
            write_whole(self.path, raw, replace=False)
        except BaseException:
            self._data.unlink(missing_ok=True)
            raise

    def _heads(self, size: int) -> bytes:
        """The archive's first bytes, of constant length: its folder's header and the samples' header."""
        folder = tarfile.TarInfo(self._base.name)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        return folder.tobuf(tarfile.GNU_FORMAT) + self._member(DATA, size)

    def _member(self, suffix: str, size: int) -> bytes:
        info = tarfile.TarInfo(f"{self._base.name}/{self._base.name}{suffix}")
        info.size, info.mode = size, 0o644
        return info.tobuf(tarfile.GNU_FORMAT)


def _take_name(waiting: Path, place: Path) -> None:
    """Give the file a name that is free; the file system refuses a name that was taken meanwhile."""
    try:
        place.hardlink_to(waiting)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        waiting.rename(place)
