"""What the writer of a log need not ask its database again: bounded, and forgotten whole when a transaction fails."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from settlement.chain.records import Record

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
KEPT = 1024


class Recent(OrderedDict[K, V]):
    """The entries kept last, at most KEPT of them; a plain dict looks for its oldest among all that it had before."""

    def keep(self, key: K, value: V) -> None:
        """Keep an entry as the newest; the oldest makes room."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > KEPT:
            self.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Memory:
    """Admitted records by hash, each author's last one, pieces of state, and kinds of which there is none.

    None is a row that is not there.
    """

    records: Recent[bytes, Record] = field(default_factory=Recent)
    lasts: Recent[bytes, tuple[int, bytes] | None] = field(default_factory=Recent)
    state: Recent[tuple[str, bytes], bytes | None] = field(default_factory=Recent)
    none_of: set[str] = field(default_factory=set)

    def appended(self, record: Record) -> None:
        """A record was admitted to the log."""
        self.records.keep(record.digest, record)
        author = record.frame.author
        if author is not None and author in self.lasts:
            last = self.lasts[author]
            if last is None or record.frame.seq > last[0]:
                self.lasts.keep(author, (record.frame.seq, record.digest))
