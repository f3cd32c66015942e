"""Bands that a holder keeps free for an incumbent: on whose report, in which area, and until when.

A node's own finding blocks wherever the node holds a right. Another author's report blocks only inside that author's
area, for a bounded number of bands each, and no longer than BLOCK_MAX_NS from when it is read: an incumbent that is
still there is reported again. Blocks stored by the log earlier are shortened to the same length at the first look.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from settlement.chain.codec import blob, encode, nested, uint
from settlement.chain.scope import Area, Band, Cell
from settlement.core.fixes import TimeFix
from settlement.pair.work import Work, stored_as

BLOCKED = "blocked"
"""State kind: key is a band (and its author, if another node), value the block's end in 8 bytes (and its area)."""
BLOCK_MAX_NS = 3600 * 1_000_000_000
EACH_MAX = 64
"""Most bands that one author may have blocked at a time; further ones replace those that end first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """The storage key of another author's block: its band and author."""

    band: Band = nested(1, Band)
    author: bytes | None = blob(2, 32, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One band kept free until an instant (UTC, ns); in an `area`, or wherever this node holds."""

    band: Band = nested(1, Band)
    until_ns: int = uint(2)
    author: bytes | None = blob(3, 32, optional=True)
    area: Area | None = nested(4, Area, optional=True)

    def touches(self, cell: Cell) -> bool:
        """Whether the block overlaps this cell in band, and may overlap it in area."""
        return self.band.overlaps(cell.band) and (self.area is None or self.area.overlaps(cell.area))

    @property
    def _key(self) -> bytes:
        # A block by this node itself is stored under its band alone.
        return encode(self.band) if self.author is None else encode(Whose(band=self.band, author=self.author))

    def keep(self, work: Work) -> None:
        """Store the block."""
        value = self.until_ns.to_bytes(8, "big") + (encode(self.area) if self.area is not None else b"")
        work.put(BLOCKED, self._key, value)

    def forget(self, work: Work) -> None:
        """Delete the stored block."""
        work.drop(BLOCKED, self._key)


def stored_block(key: bytes, value: bytes) -> Block:
    """Decode a stored block. Raises StoredStateError."""
    until_ns, area = int.from_bytes(value[:8], "big"), stored_as(Area, value[8:], BLOCKED) if value[8:] else None
    if area is None:
        return Block(band=stored_as(Band, key, BLOCKED), until_ns=until_ns)
    whose = stored_as(Whose, key, BLOCKED)
    return Block(band=whose.band, until_ns=until_ns, author=whose.author, area=area)


class Blocks:
    """Every band kept free, by author and band. Rebuilt from stored state after a restart."""

    def __init__(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        held = [stored_block(key, value) for key, value in stored]
        self._held = {(one.author, one.band): one for one in held}
        self._unchecked = bool(held)

    def bands(self) -> dict[Band, int]:
        """Return each blocked band with the end of its longest block (UTC, ns)."""
        ends: dict[Band, int] = {}
        for one in self._held.values():
            ends[one.band] = max(one.until_ns, ends.get(one.band, 0))
        return ends

    def add(self, work: Work, block: Block) -> None:
        """Block a band until the latest end that this author reported, within bounds."""
        key, latest_ns = (block.author, block.band), work.now.time.latest_ns
        before = self._held.get(key)
        until_ns = min(max(block.until_ns, before.until_ns if before is not None else 0), latest_ns + BLOCK_MAX_NS)
        self._held[key] = kept = replace(block, until_ns=until_ns)
        kept.keep(work)
        own = sorted((b for b in self._held.values() if b.author == block.author), key=lambda b: b.until_ns)
        if block.author is not None:
            for one in own[: max(0, len(own) - EACH_MAX)]:
                self._drop(work, one)

    def _drop(self, work: Work, block: Block) -> None:
        del self._held[block.author, block.band]
        block.forget(work)

    def on(self, cell: Cell, now: TimeFix) -> Block | None:
        """Return a block that may touch a cell and is not surely over; None if there is none."""
        return next((one for one in self._held.values() if not now.after(one.until_ns) and one.touches(cell)), None)

    def tick(self, work: Work) -> None:
        """Delete the blocks that are over; shorten stored ones to the maximum length."""
        now, most_ns = work.now.time, work.now.time.latest_ns + BLOCK_MAX_NS
        for one in [b for b in self._held.values() if now.after(b.until_ns)]:
            self._drop(work, one)
        if self._unchecked and now.trusted:
            self._unchecked = False
            for one in [b for b in self._held.values() if b.until_ns > most_ns]:
                self._held[one.author, one.band] = cut = replace(one, until_ns=most_ns)
                cut.keep(work)
