"""Writes files atomically, also on full and failing disks.

The content goes to a file of another name in the same folder, is synced to disk, and that file is then renamed in one
step. Several files that belong together are all written before the first of them is renamed.
"""

import errno
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PUBLIC_MODE: Final = 0o644
SECRET_MODE: Final = 0o600
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """A file to write: its path, content, mode before the umask, and whether it replaces an existing one."""

    path: Path
    data: bytes
    mode: int = PUBLIC_MODE
    replace: bool = True


def write_whole(path: Path, data: bytes, *, mode: int = PUBLIC_MODE, replace: bool = True) -> None:
    """Write a file atomically.

    Raises: FileExistsError where the path exists and `replace` is False, any other OSError where it cannot be written;
    the path is then unchanged.
    """
    write_together([WholeFile(path=path, data=data, mode=mode, replace=replace)])


def write_together(files: Sequence[WholeFile]) -> None:
    """Write several files together: none is renamed before all are on disk. Raises as `write_whole`.

    Where a rename fails, new files are removed again, and files that replaced older ones by then stay.
    """
    with Staged(files) as staged:
        staged.commit()


class Staged:
    """Files written to disk under temporary names; a context manager that removes those not committed.

    Raises: FileExistsError, OSError on entering, as `write_whole`.
    """

    def __init__(self, files: Sequence[WholeFile]) -> None:
        """Args: files in the order in which they are renamed."""
        self._files = files
        self._waiting: list[tuple[WholeFile, Path, Path | None]] = []

    def __enter__(self) -> Self:
        """Write all of them under temporary names."""
        try:
            for file in self._files:
                _free(file)
                place = file.path.resolve()
                self._waiting.append((file, place, _written(file, place)))
        except BaseException:
            self._clear()
            raise
        return self

    def commit(self) -> None:
        """Rename each to its path; where one fails, those renamed before it to free paths are removed again."""
        new: list[Path] = []
        try:
            for file, place, waiting in self._waiting:
                if _named(file, waiting, place):
                    new.append(place)
        except BaseException:
            for place in new:
                place.unlink(missing_ok=True)
            raise
        for folder in {place.parent for _, place, _ in self._waiting}:
            _down(folder)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary files."""
        self._clear()

    def _clear(self) -> None:
        for _, _, path in self._waiting:
            with suppress(OSError):
                if path is not None:
                    path.unlink(missing_ok=True)


def _free(file: WholeFile) -> None:
    if not file.replace and os.path.lexists(file.path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file.path))


def _written(file: WholeFile, place: Path) -> Path | None:
    """The temporary file with the content; None for a terminal, a pipe or the like, written to at the end."""
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file.path))
    if place.exists() and not place.is_file():
        return None
    waiting = place.parent / f".{place.name[:200]}.{secrets.token_hex(4)}.new"
    try:
        handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, file.mode)
    except OSError as exc:
        raise _about(exc, file.path) from exc
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(file.data)
            out.flush()
            os.fsync(out.fileno())
    except BaseException as exc:
        waiting.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise _about(exc, file.path) from exc
        raise
    return waiting


def _named(file: WholeFile, waiting: Path | None, place: Path) -> bool:
    """Rename the temporary file to its path; returns True where the path was free."""
    try:
        if waiting is None:
            with place.open("wb") as out:
                out.write(file.data)
            return False
        if file.replace and place.exists():
            waiting.replace(place)
            return False
        return _linked(waiting, place, replace=file.replace)
    except OSError as exc:
        raise _about(exc, file.path) from exc


def _linked(waiting: Path, place: Path, *, replace: bool) -> bool:
    """Take a free path, with the file system itself refusing a taken one; returns True where it was free."""
    try:
        place.hardlink_to(waiting)
    except FileExistsError:
        if not replace:
            raise
        waiting.replace(place)
        return False
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        waiting.rename(place)
    return True


def _down(folder: Path) -> None:
    """Sync a folder's entries to disk, where its file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _about(exc: OSError, path: Path) -> OSError:
    """The same error, naming the path that was asked for."""
    return type(exc)(exc.errno, exc.strerror, str(path))
