"""A member's disk: the real log on a file, with a fuse that blows at a chosen write, and copies to go back to."""

from pathlib import Path

import apsw

from settlement.chain.leaf import Leaf
from settlement.chain.lineage import Lineage
from settlement.chain.records import Record


class CrashedError(BaseException):
    """The process died here; whatever was not durable is gone. No handler of the program may catch it."""


class FusedLog(Lineage):
    """A log whose process dies, or whose disk is full, at a write of our choosing."""

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
        """As the log does, unless the fuse blows."""
        self._burn()
        return super().append(leaf, record)

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """As the log does, unless the fuse blows."""
        super().put(kind, key, value)
        self._burn()

    def image(self) -> bytes:
        """What a copy of the disk would hold."""
        return bytes(self._db.serialize("main"))


class Disk:
    """The file of one member, and older copies of it: (entries, content)."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.db"
        self.images: list[tuple[int, bytes]] = []

    def keep(self, log: FusedLog) -> None:
        """Take a copy."""
        self.images.append((log.size, log.image()))

    def go_back(self, below: int) -> bool:
        """Put the newest copy with fewer entries in place of the file; False where there is none."""
        older = [content for size, content in self.images if 0 < size < below]
        if not older:
            return False
        for stale in self.path.parent.glob(self.path.name + "*"):
            stale.unlink()
        self.path.write_bytes(older[-1])
        return True
