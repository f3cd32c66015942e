"""Reads the page headers of a Parquet file for its unpacked size, before anything is unpacked.

A column's entry in the file's footer states the unpacked size of its pages, and each page states it again in its own
header, by which a reader allocates. Where they differ, a file of some kilobytes can take gigabytes. So can a page of
some bytes that states millions of equal or null values: a row may hold a list. A header is a struct
of Apache Thrift in its compact protocol ("Thrift compact protocol encoding"; parquet.thrift, PageHeader): field 2 is
the unpacked size, field 3 the size in the file, fields 5, 7 and 8 the structs of one kind of page each, whose field 1
is the number of values.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow.parquet as pq

HEADER_BYTES: Final = 1 << 16
DEPTH: Final = 8
PAGES: Final = 100_000
VALUES: Final = 1_000_000
"""Most values of one column in a file, including those in lists and nulls."""
_I32: Final = 5
_STRUCT: Final = 12
_UNPACKED, _PACKED = 2, 3
_KINDS: Final = (5, 7, 8)
_VALUES = 1


class HeaderUnread(ValueError):
    """A page's header is malformed or too long."""


class _Compact:
    """A reader of the compact protocol over some bytes; raises HeaderUnread at their end."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def byte(self) -> int:
        if self.at >= len(self._data):
            raise HeaderUnread("it ends early")
        self.at += 1
        return self._data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            one = self.byte()
            value |= (one & 0x7F) << shift
            if one < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise HeaderUnread("a number without end")

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def over(self, count: int) -> None:
        if not 0 <= count <= len(self._data) - self.at:
            raise HeaderUnread("it ends early")
        self.at += count

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of each field of a struct; the caller reads its value before the next field."""
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.integer()
            yield number, head & 0x0F

    def skip(self, kind: int, depth: int = 0) -> None:
        """Skip a value of a type; a boolean field has no bytes."""
        if depth > DEPTH:
            raise HeaderUnread("nested too deep")
        match kind:
            case 1 | 2:  # a boolean: its type is its value
                return
            case 3:  # a byte
                self.over(1)
            case 4 | 5 | 6:  # an integer
                self.varint()
            case 7:  # a float
                self.over(8)
            case 8:  # bytes or text
                self.over(self.varint())
            case 12:  # a struct
                for _, inner in self.fields():
                    self.skip(inner, depth + 1)
            case _:
                raise HeaderUnread("a list or map, which no header has")


def page_sizes(header: bytes) -> tuple[int, int, int, int]:
    """Return a page's unpacked size, its size in the file, its header's length (all bytes), and its number of values.

    Raises HeaderUnread.
    """
    read = _Compact(header)
    sizes: dict[int, int] = {}
    values = 0
    for number, kind in read.fields():
        if number in (_UNPACKED, _PACKED) and kind == _I32:
            sizes[number] = read.integer()
        elif number in _KINDS and kind == _STRUCT:
            values = max(values, _values(read))
        else:
            read.skip(kind)
    unpacked, packed = sizes.get(_UNPACKED, -1), sizes.get(_PACKED, -1)
    if unpacked < 0 or packed < 0:
        raise HeaderUnread("it says no size")
    return unpacked, packed, read.at, values


def _values(read: _Compact) -> int:
    """Return the number of values that a page's struct states."""
    values = 0
    for number, kind in read.fields():
        if number == _VALUES and kind == _I32:
            values = max(values, read.integer())
        else:
            read.skip(kind, 1)
    return values


def unpacked_bytes(path: Path, footer: pq.FileMetaData) -> int:
    """Return the unpacked bytes that all pages of a file state. Raises HeaderUnread, OSError."""
    total = pages = 0
    held: dict[int, int] = {}
    with path.open("rb") as file:
        for group in range(footer.num_row_groups):
            for column in range(footer.num_columns):
                for unpacked, values in _pages(file, footer.row_group(group).column(column)):
                    total, pages = total + unpacked, pages + 1
                    held[column] = held.get(column, 0) + values
                    if pages > PAGES or held[column] > VALUES:
                        raise HeaderUnread("more pages or values than a history has")
    return total


def _pages(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> Iterator[tuple[int, int]]:
    """Yield unpacked size and number of values of each page of a column's chunk, in file order."""
    start, first = chunk.data_page_offset, chunk.dictionary_page_offset
    at = first if first is not None and 0 < first < start else start
    end = at + chunk.total_compressed_size
    if at < 0 or chunk.total_compressed_size < 0:
        raise HeaderUnread("its pages lie nowhere")
    while at < end:
        file.seek(at)
        unpacked, packed, length, values = page_sizes(file.read(HEADER_BYTES))
        yield unpacked, values
        at += length + packed
