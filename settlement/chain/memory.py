"""Bounded caches of a log's writer, in place of database queries; cleared when a transaction fails."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from settlement.chain.records import Record

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
KEPT = 1024


class Recent(OrderedDict[K, V]):
    """A cache of the KEPT newest entries; dropping the oldest is fast here, while a plain dict searches for it."""

    def keep(self, key: K, value: V) -> None:
        """Keep an entry as the newest; the oldest is dropped when there are too many."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > KEPT:
            self.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Memory:
    """Caches: admitted records by hash, each author's last record, pieces of state, and kinds that have no state.

    A cached None stands for a row that does not exist.
    """

    records: Recent[bytes, Record] = field(default_factory=Recent)
    lasts: Recent[bytes, tuple[int, bytes] | None] = field(default_factory=Recent)
    state: Recent[tuple[str, bytes], bytes | None] = field(default_factory=Recent)
    none_of: set[str] = field(default_factory=set)

    def appended(self, record: Record) -> None:
        """Add a record that was just admitted to the log."""
        self.records.keep(record.digest, record)
        author = record.frame.author
        if author is not None and author in self.lasts:
            last = self.lasts[author]
            if last is None or record.frame.seq > last[0]:
                self.lasts.keep(author, (record.frame.seq, record.digest))
