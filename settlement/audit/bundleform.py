"""Reads a bundle in place: entries are found by offset and sliced out one at a time, nothing is copied as a whole.

Only the form that `Bundle` encodes to is accepted: a map of network and logs, each log a map of name, signed head and
entries. Beside the file, eight bytes of memory are needed for each entry; entries below ENTRY_LEAST bytes are refused.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from settlement.chain.leaf import LEAF_LIMIT
from settlement.chain.scan import read_head
from settlement.core.reasons import Reason, Refusal, RefusedError, refuse

NETWORK_LIMIT, ORIGIN_LIMIT, NOTE_LIMIT = 64, 256, 4096
LOGS_MAX, ENTRIES_MAX = 256, 1_000_000
ENTRY_LEAST = 40
"""Bytes of the shortest entry: a map with the hash of a record and two instants."""
_UINT, _BYTES, _TEXT, _ARRAY, _MAP = 0, 2, 3, 4, 5
START = b"\xa2\x01"
"""The first bytes of a bundle."""


class Entries(Sequence[bytes]):
    """The entries of one log, sliced out of the bundle on access."""

    def __init__(self, data: bytes, starts: "array[int]") -> None:
        """`starts`: offset of the head of each entry, in order."""
        self._data, self._starts = data, starts

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Return one entry, or a slice of entries."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        _, length, begin = read_head(self._data, self._starts[index])
        return self._data[begin : begin + length]

    def __iter__(self) -> Iterator[bytes]:
        """Yield every entry once, in order."""
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInBundle:
    """One log in a bundle: its name, its owner's signed head, and every entry in order."""

    origin: str
    checkpoint: str
    entries: Entries


class _Cursor:
    """A reading position in the bytes; each item must be of the expected kind, in its shortest form."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def wrong(self, required: str) -> RefusedError:
        return RefusedError(refuse(Reason.MALFORMED, "bundle.form", f"at byte {self.at}", required))

    def head(self, major: int, low: int, high: int, required: str) -> int:
        kind, argument, behind = read_head(self.data, self.at)
        if kind != major or not low <= argument <= high:
            raise self.wrong(required)
        self.at = behind
        return argument

    def key(self, number: int) -> None:
        self.head(_UINT, number, number, f"key {number}")

    def text(self, high: int) -> str:
        length = self.head(_TEXT, 0, high, f"text of at most {high} bytes")
        raw = self._raw(length)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.wrong("valid UTF-8") from None

    def _raw(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise self.wrong(f"{length} bytes")
        raw, self.at = self.data[self.at : end], end
        return raw

    def entries(self) -> Entries:
        count = self.head(_ARRAY, 1, ENTRIES_MAX, f"1 to {ENTRIES_MAX} entries")
        starts = array("Q")
        for _ in range(count):
            starts.append(self.at)
            length = self.head(_BYTES, ENTRY_LEAST, LEAF_LIMIT, f"an entry of {ENTRY_LEAST} to {LEAF_LIMIT} bytes")
            self.at += length
            if self.at > len(self.data):
                raise self.wrong(f"{length} bytes")
        return Entries(self.data, starts)

    def log(self) -> LogInBundle:
        self.head(_MAP, 3, 3, "a map of name, signed head and entries")
        self.key(1)
        origin = self.text(ORIGIN_LIMIT)
        self.key(2)
        note = self.text(NOTE_LIMIT)
        self.key(3)
        return LogInBundle(origin=origin, checkpoint=note, entries=self.entries())


def read_form(data: bytes, *, limit: int) -> tuple[str, tuple[LogInBundle, ...]] | Refusal:
    """Return network and logs of a bundle of at most `limit` bytes, with only the form verified."""
    if len(data) > limit:
        return refuse(Reason.TOO_LARGE, "bundle.size", len(data), f"<= {limit} bytes")
    cursor = _Cursor(data)
    try:
        cursor.head(_MAP, 2, 2, "a map of network and logs")
        cursor.key(1)
        network = cursor.text(NETWORK_LIMIT)
        cursor.key(2)
        logs = tuple(cursor.log() for _ in range(cursor.head(_ARRAY, 1, LOGS_MAX, f"1 to {LOGS_MAX} logs")))
    except RefusedError as exc:
        return exc.refusal
    if cursor.at != len(data):
        return refuse(Reason.MALFORMED, "bundle.trailing", f"{len(data) - cursor.at} bytes behind the bundle", "none")
    return network, logs
