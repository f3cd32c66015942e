"""Finds the metadata and the samples of a recording, in two files or in a `.sigmf` archive, without unpacking."""

import hashlib
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from radio.errors import SourceError
from radio.recording.fields import shown
from radio.recording.metadata import Metadata, read_metadata

META, DATA, ARCHIVE = ".sigmf-meta", ".sigmf-data", ".sigmf"
META_BYTES_MAX: Final = 64 << 20
MEMBERS_MAX: Final = 1000
HASH_CHUNK: Final = 1 << 22
EXTENDED_BYTES_MAX: Final = 4096
"""Most bytes of extended headers between two archive members: `tarfile` takes time quadratic in them."""
EXTENDED_TOTAL_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A recording's typed metadata and the open file with its samples: `size` bytes from byte `start` on."""

    meta: Metadata
    data: Path
    descriptor: int
    start: int
    size: int

    def sha512(self) -> str:
        """SHA-512 of the sample data, in lower-case hexadecimal."""
        digest, at = hashlib.sha512(), self.start
        while at < self.start + self.size:
            chunk = os.pread(self.descriptor, min(HASH_CHUNK, self.start + self.size - at), at)
            if not chunk:
                break
            digest.update(chunk)
            at += len(chunk)
        return digest.hexdigest()


def find(path: Path) -> Stored:
    """Open `NAME.sigmf-meta` and `NAME.sigmf-data`, by either's name, or `NAME.sigmf`.

    The caller closes the descriptor. Raises: SourceError, whose message names the file and the mend.
    """
    if path.name.endswith(ARCHIVE):
        return _archive(path)
    if path.name.endswith(DATA):
        path = path.with_name(path.name.removesuffix(DATA) + META)
    if not path.name.endswith(META):
        raise SourceError(f"{path}: not a SigMF recording; name its .sigmf-meta file, or a .sigmf archive")
    descriptor, size = _regular(path, missing=f"{path}: no such recording; check the path")
    try:
        if size > META_BYTES_MAX:
            raise SourceError(f"{path}: {size} bytes of metadata, more than {META_BYTES_MAX}; split the recording")
        with os.fdopen(descriptor, "rb") as stream:
            raw = stream.read(META_BYTES_MAX + 1)
    except OSError as exc:
        raise SourceError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc
    meta = read_metadata(raw, where=str(path))
    data = path.with_name(meta.dataset if meta.dataset is not None else path.name.removesuffix(META) + DATA)
    missing = f"{data}: the samples are missing; put them beside the metadata"
    if meta.metadata_only and not data.exists():
        missing = f"{path}: metadata only, made to be handed on without samples; ask for the recording itself"
    descriptor, size = _regular(data, missing=missing)
    return Stored(meta=meta, data=data, descriptor=descriptor, start=0, size=size)


def _regular(path: Path, *, missing: str) -> tuple[int, int]:
    """Open a regular file; returns descriptor and size, and never waits for a pipe. Raises SourceError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as exc:
        raise SourceError(missing) from exc
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "no path of a file"
        raise SourceError(f"{path}: cannot be read ({why}); check its permissions") from exc
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        raise SourceError(f"{path}: cannot be read (it is no plain file); name the recording's own file")
    return descriptor, about.st_size


class _Heads:
    """A file that `tarfile` reads member headers from; a read between them is limited to EXTENDED_BYTES_MAX."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._left = stream, EXTENDED_TOTAL_MAX

    def read(self, size: int = -1) -> bytes:
        """Read a header or an extension of one. Raises tarfile.ReadError where that is longer than the limit."""
        if size > tarfile.BLOCKSIZE:
            self._left -= size
        if not 0 <= size <= EXTENDED_BYTES_MAX or self._left < 0:
            raise tarfile.ReadError("its extended headers are too long")
        return self._stream.read(size)

    def seek(self, at: int) -> int:
        """Set the position, as a file does."""
        return self._stream.seek(at)

    def tell(self) -> int:
        """The position, as of a file."""
        return self._stream.tell()


def _archive(path: Path) -> Stored:
    """Open the one recording in an archive, without unpacking. Raises SourceError."""
    descriptor, size = _regular(path, missing=f"{path}: no such recording; check the path")
    try:
        raw, members = _members(path, descriptor)
        meta = read_metadata(raw, where=str(path))
        data = _data_of(path, meta, members, size)
    except BaseException:
        os.close(descriptor)
        raise
    return Stored(meta=meta, data=path, descriptor=descriptor, start=data.offset_data, size=data.size)


def _data_of(path: Path, meta: Metadata, members: dict[str, tarfile.TarInfo], size: int) -> tarfile.TarInfo:
    """The archive member with the samples, complete within the archive's `size` bytes. Raises SourceError."""
    stem = next(name for name in members if name.endswith(META)).removesuffix(META)
    wanted = stem + DATA if meta.dataset is None else str(PurePosixPath(stem).parent / meta.dataset)
    data = members.get(wanted)
    if data is None:
        raise SourceError(f"{path}: the samples {shown(wanted)} are missing in it; pack the archive again")
    if data.issparse() or data.offset_data + data.size > size:
        raise SourceError(f"{path}: truncated, or its samples are stored with holes; pack the archive again")
    return data


def _opened(stream: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=_Heads(stream), mode="r:")  # type: ignore[call-overload,no-any-return]


def _members(path: Path, descriptor: int) -> tuple[bytes, dict[str, tarfile.TarInfo]]:
    """The metadata's bytes and the regular files of an archive, by name."""
    files: dict[str, tarfile.TarInfo] = {}
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as stream, _opened(stream) as tar:
            for count, member in enumerate(tar, 1):
                if count > MEMBERS_MAX:
                    raise SourceError(f"{path}: more than {MEMBERS_MAX} members; unpack it and name one recording")
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts:
                    raise SourceError(f"{path}: {shown(member.name)} points out of the archive; pack it again")
                if str(name) in files:
                    raise SourceError(f"{path}: {shown(member.name)} is in it twice; pack it again")
                if member.isreg():
                    files[str(name)] = member
                elif not member.isdir():
                    raise SourceError(f"{path}: {shown(member.name)} is a link or a device; pack plain files")
            metas = [name for name in files if name.endswith(META)]
            if len(metas) != 1:
                raise SourceError(f"{path}: holds {len(metas)} recordings; unpack it and name one .sigmf-meta")
            if files[metas[0]].size > META_BYTES_MAX:
                raise SourceError(f"{path}: more than {META_BYTES_MAX} bytes of metadata; split the recording")
            meta = files[metas[0]]
            if meta.issparse() or meta.size < 0:
                raise SourceError(f"{path}: its metadata is stored with holes; pack the archive again")
            return os.pread(descriptor, meta.size, meta.offset_data), files
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError, MemoryError) as exc:
        raise SourceError(f"{path}: no SigMF archive, which is a plain tar ({shown(exc)}); unpack it by hand") from exc
    except OSError as exc:
        raise SourceError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc
