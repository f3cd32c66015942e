"""Pages that unpack to more than the file's footer says: found by their headers, before anything is unpacked."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agent.history import pageheaders, parquetfile
from agent.history.pageheaders import HeaderUnread, page_sizes, unpacked_bytes
from agent.history.parquetfile import NotOurs, read_rows
from agent.history.table import SCHEMAS

pytestmark = [pytest.mark.feature("E9"), pytest.mark.attack(69)]


def header(unpacked: bytes, packed: bytes = b"\x08", rest: bytes = b"\x00") -> bytes:
    """A page's header: type, unpacked size, size in the file, as zigzag varints."""
    return b"\x15\x00\x15" + unpacked + b"\x15" + packed + rest


def test_a_header_says_its_sizes() -> None:
    assert page_sizes(header(b"\xfe\xff\xff\xff\x0f")) == ((1 << 31) - 1, 4, 11, 0)
    inside = b"\x2c\x15\x02\x15\x00\x1c\x18\x02ab\x11\x00\x00\x00"
    assert page_sizes(header(b"\x06", rest=inside)) == (3, 4, 6 + len(inside), 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x15",
        header(b"\x06", rest=b""),
        header(b"\xff" * 12),
        header(b"\x05"),
        b"\x15\x00\x00",
        header(b"\x06", rest=b"\x18\xff\xff\x03"),
        header(b"\x06", rest=b"\x19\x00\x00"),
        header(b"\x06", rest=b"\x1c" * 40 + b"\x00" * 42),
        header(b"\x06", rest=b"\x1c" * 5000 + b"\x00" * 5002),
    ],
)
def test_what_is_no_header_is_refused(raw: bytes) -> None:
    with pytest.raises(HeaderUnread):
        page_sizes(raw)


class Lying:
    """A file's footer that says of each group of rows that it unpacks to nothing."""

    total_byte_size = 0

    def __init__(self, told: Any) -> None:
        self._told = told

    def row_group(self, number: int) -> "Lying":
        return Lying(self._told.row_group(number))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._told, name)


def test_a_page_that_unpacks_to_more_than_its_file_says_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, path = 8, tmp_path / "events.parquet"
    columns = {"fields": [f"{number}{' ' * 1_000_000}" for number in range(rows)]}
    made = {one.name: columns.get(one.name, [1 if one.name == "at_ns" else "x"] * rows) for one in SCHEMAS["events"]}
    pq.write_table(pa.table(made, schema=SCHEMAS["events"]), path, compression="zstd")
    assert read_rows(path, "events").num_rows == rows
    monkeypatch.setattr(parquetfile, "UNPACKED_BYTES", 4 << 20)
    footer = Lying(pq.read_metadata(path))
    monkeypatch.setattr(pq, "read_metadata", lambda _: footer)
    unpacked = Mock(side_effect=pq.ParquetFile)
    monkeypatch.setattr(pq, "ParquetFile", unpacked)
    with pytest.raises(NotOurs):
        read_rows(path, "events")
    assert unpacked.call_count == 0
    assert path.stat().st_size < 1 << 16
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 64 + path.read_bytes()[68:])
    with pytest.raises(NotOurs, match="a page's header cannot be read"):
        read_rows(path, "events")


def test_pages_are_counted_whatever_packs_them(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(9000)), "b": [str(n % 5) for n in range(9000)]})
    for packed in ("zstd", "snappy", "none"):
        path = tmp_path / packed
        pq.write_table(table, path, compression=packed, row_group_size=2000, data_page_size=1000)
        assert unpacked_bytes(path, pq.read_metadata(path)) > 9000 * 2


def test_a_file_of_more_pages_than_any_history_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many"
    pq.write_table(pa.table({"a": list(range(9000))}), path, row_group_size=100)
    monkeypatch.setattr(pageheaders, "PAGES", 50)
    with pytest.raises(HeaderUnread, match="more pages"):
        unpacked_bytes(path, pq.read_metadata(path))


def test_a_list_of_millions_of_values_that_are_none_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of some bytes says that they are all alike; a reader takes 45 bytes for each: 6 KB became a gigabyte."""
    many, path = pageheaders.VALUES + 1, tmp_path / "node.parquet"
    columns: dict[str, Any] = {one.name: pa.nulls(1, one.type) for one in SCHEMAS["node"]}
    kind = SCHEMAS["node"].field("incumbents").type
    columns["incumbents"] = pa.ListArray.from_arrays(pa.array([0, many], pa.int32()), pa.nulls(many, kind.value_type))
    pq.write_table(pa.table(columns, schema=SCHEMAS["node"]), path, compression="zstd")
    assert path.stat().st_size < 1 << 14
    opened = Mock(side_effect=pq.ParquetFile)
    monkeypatch.setattr(pq, "ParquetFile", opened)
    with pytest.raises(NotOurs, match="values"):
        read_rows(path, "node")
    assert opened.call_count == 0


@pytest.mark.parametrize(("offset", "length"), [(-4, 100), (4, -1)])
def test_pages_that_lie_nowhere_are_refused(tmp_path: Path, offset: int, length: int) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"PAR1" + header(b"\x06"))
    chunk = Mock(data_page_offset=offset, dictionary_page_offset=None, total_compressed_size=length)
    group = Mock(column=lambda _: chunk)
    footer = Mock(num_row_groups=1, num_columns=1, row_group=lambda _: group)
    with pytest.raises(HeaderUnread, match="nowhere"):
        unpacked_bytes(path, footer)
