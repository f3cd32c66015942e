"""The bands a holder keeps free for an incumbent: by whose word, where that word reaches, and until when.

A node's own finding blocks wherever it holds. Another's word blocks inside its author's area alone, a bounded number of
bands each, and no word for longer than BLOCK_MAX_NS from when it is looked at: an incumbent that is still there is
reported again. What lies in the log's state from before is cut to the same length at the first look.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from settlement.chain.codec import blob, encode, nested, uint
from settlement.chain.scope import Area, Band, Cell
from settlement.core.fixes import TimeFix
from settlement.pair.work import Work, stored_as

BLOCKED = "blocked"
"""State: a band (and its author, where that is another) to the end of its block in 8 bytes (and its area)."""
BLOCK_MAX_NS = 3600 * 1_000_000_000
EACH_MAX = 64
"""Bands that one author may have blocked at a time; more push out those that end first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """What a stored block is found by: its band, and its author where that is not this node."""

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
        """Could the incumbent be in this cell's band and area?"""
        return self.band.overlaps(cell.band) and (self.area is None or self.area.overlaps(cell.area))

    @property
    def _key(self) -> bytes:
        # A block by this node itself is found by its band alone, as ever.
        return encode(self.band) if self.author is None else encode(Whose(band=self.band, author=self.author))

    def keep(self, work: Work) -> None:
        """Remember it."""
        value = self.until_ns.to_bytes(8, "big") + (encode(self.area) if self.area is not None else b"")
        work.put(BLOCKED, self._key, value)

    def forget(self, work: Work) -> None:
        """Forget it."""
        work.drop(BLOCKED, self._key)


def stored_block(key: bytes, value: bytes) -> Block:
    """A block as it was kept. Raises StoredStateError."""
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
        """Each band with the end of its longest block."""
        ends: dict[Band, int] = {}
        for one in self._held.values():
            ends[one.band] = max(one.until_ns, ends.get(one.band, 0))
        return ends

    def add(self, work: Work, block: Block) -> None:
        """Keep a band free, for as long as the longest of what was said of it by this author, within bounds."""
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
        """A block that may touch a cell and is not surely over."""
        return next((one for one in self._held.values() if not now.after(one.until_ns) and one.touches(cell)), None)

    def tick(self, work: Work) -> None:
        """Forget what is over; cut what was stored before to the longest that may be."""
        now, most_ns = work.now.time, work.now.time.latest_ns + BLOCK_MAX_NS
        for one in [b for b in self._held.values() if now.after(b.until_ns)]:
            self._drop(work, one)
        if self._unchecked and now.trusted:
            self._unchecked = False
            for one in [b for b in self._held.values() if b.until_ns > most_ns]:
                self._held[one.author, one.band] = cut = replace(one, until_ns=most_ns)
                cut.keep(work)
