"""A member's simulated disk: its log in a file, which can fail at a chosen write, and copies to restore."""

from pathlib import Path

import apsw

from settlement.chain.leaf import Leaf
from settlement.chain.lineage import Lineage
from settlement.chain.records import Record


class CrashedError(BaseException):
    """Raised where the process is to crash: only what is durable stays. No handler of the program may catch it."""


class FusedLog(Lineage):
    """A log whose process crashes, or whose disk is full, at a chosen write."""

    fuse: int | None = None
    full = False

    def _burn(self) -> None:
        if self.fuse is None:
            return
        self.fuse -= 1
        if self.fuse <= 0:
            self.fuse = None
            if self.full:
                raise apsw.FullError("database or disk is full")
            raise CrashedError

    def append(self, leaf: Leaf, record: Record | None) -> int:
        """Append as the log does, unless the write is to fail."""
        self._burn()
        return super().append(leaf, record)

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """Put as the log does, unless the write is to fail."""
        super().put(kind, key, value)
        self._burn()

    def image(self) -> bytes:
        """The content of the disk."""
        return bytes(self._db.serialize("main"))


class Disk:
    """One member's log file, and older copies of it: (entries, content)."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.db"
        self.images: list[tuple[int, bytes]] = []

    def keep(self, log: FusedLog) -> None:
        """Keep a copy of the log."""
        self.images.append((log.size, log.image()))

    def go_back(self, below: int) -> bool:
        """Restore the newest copy with fewer entries; returns False where there is none."""
        older = [content for size, content in self.images if 0 < size < below]
        if not older:
            return False
        for stale in self.path.parent.glob(self.path.name + "*"):
            stale.unlink()
        self.path.write_bytes(older[-1])
        return True
