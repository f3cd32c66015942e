"""Simulates loss of power: writes that were not synced are kept, lost, or kept in part, sector by sector.

An SQLite VFS by apsw. Until `lose_power` every write goes through; then each unsynced one is, by a seed, kept, undone,
or torn: some of its sectors as written and the others as before. What was synced stays. Afterwards nothing can be
written.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


class PowerLostError(Exception):
    """Raised after the simulated loss of power."""


class TornDisk(apsw.VFS):
    """The files by name; `fuse` is the number of writes until the power is lost, None for never."""

    def __init__(self, name: str, chosen: random.Random) -> None:
        self.name, self.chosen = name, chosen
        self.fuse: int | None = None
        self.dead = False
        self.unsynced: dict[str, list[tuple[int, bytes, bytes, int]]] = {}
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> "TornFile":  # noqa: N802 - apsw's name
        return TornFile(name, flags, self)

    def written(self) -> None:
        """Count a write; the power may be lost in it."""
        if self.dead:
            raise PowerLostError
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.dead = True
                raise PowerLostError

    def lose_power(self) -> int:
        """Lose the power and leave on the real disk what that leaves; returns the number of writes not synced."""
        self.dead = True
        count = 0
        for path, writes in self.unsynced.items():
            if not Path(path).exists():
                continue
            with Path(path).open("r+b") as file:
                # Backwards, so that each write is undone to the content before it.
                for offset, data, before, size_before in reversed(writes):
                    count += 1
                    fate = self.chosen.choice(("kept", "lost", "torn"))
                    if fate == "kept":
                        continue
                    for start in range(0, len(data), SECTOR):
                        if fate == "torn" and self.chosen.random() < 0.5:
                            continue
                        old = before[start : start + SECTOR].ljust(min(SECTOR, len(data) - start), b"\0")
                        file.seek(offset + start)
                        file.write(old)
                    if fate == "lost" and self.chosen.random() < 0.5:
                        file.truncate(max(size_before, 0))
        return count


class TornFile(apsw.VFSFile):
    """One open file of the disk."""

    def __init__(self, name: Any, flags: list[int], disk: TornDisk) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else (name or "")

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        self._disk.written()
        size = self.xFileSize()
        held = max(0, min(len(data), size - offset))
        before = super().xRead(held, offset) if held else b""
        self._disk.unsynced.setdefault(self._path, []).append((offset, bytes(data), before, size))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name
        self._disk.written()
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        if self._disk.dead:
            raise PowerLostError
        super().xSync(flags)
        self._disk.unsynced.pop(self._path, None)


@contextmanager
def torn_disk(monkeypatch: Any, chosen: random.Random) -> Iterator[TornDisk]:
    """Put every database opened inside on a disk that can lose power; for one writer only."""
    disk = TornDisk(f"torn-{chosen.random()}", chosen)
    real = apsw.Connection

    def opened(path: str, **kwargs: Any) -> apsw.Connection:
        db = real(path, vfs=disk.name, **kwargs)
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        return db

    with monkeypatch.context() as patched:
        patched.setattr(apsw, "Connection", opened)
        yield disk
    disk.unregister()
