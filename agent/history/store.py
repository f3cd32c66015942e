"""The history on disk: Parquet files readable by any tool, each whole or absent, within a size limit.

    1s/node-2026112822.parquet          the seconds of one hour of UTC; 1s/channels-…, 1s/events-…
    1s/node-2026112822-37.parquet       the seconds of one minute, until the hour is over
    1min/node-20261128.parquet          the minutes of one day; 15min/node-202611.parquet the quarters of one month

A file is written beside its name and renamed into place, so that a process killed at any instant leaves whole files
and loses at most the seconds since the last write (`WRITE_NS`). An hour's minute files are brought together when the
hour is over; where a kill came between the new file and the removal of the old ones, reading drops what is there twice.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from agent.history.distinctrows import distinct, once
from agent.history.rows import Row, merged, rolled
from agent.history.table import (
    SCHEMAS,
    channel_table,
    event_table,
    lightest,
    minutes_of,
    node_table,
    rows_of,
    within,
)

NS: Final = 1_000_000_000
SECOND, MINUTE, QUARTER = "1s", "1min", "15min"
LENGTHS: Final = {SECOND: NS, MINUTE: 60 * NS, QUARTER: 900 * NS}
_NAME: Final = re.compile(r"(node|channels|events)-[0-9]{6,10}(-[0-5][0-9])?", re.ASCII)
_NAMES: Final = {SECOND: "%Y%m%d%H", MINUTE: "%Y%m%d", QUARTER: "%Y%m"}
WRITE_NS: Final = 10 * NS
BOXES: Final = "boxes"
"""Name of the event that lists offers and settlements."""
EVENTS_A_MINUTE: Final = 600
"""Most events of one name per minute; more are only counted, so that strangers' refusals do not hide other events."""
EVENTS_READ: Final = 50_000
"""Most events returned for one query: two days of refusals are more than a page shows."""
CHANNEL_ROWS_MAX: Final = 1_000_000
"""Most channel rows of all stretches read for one query."""
EVENT_BYTES_MAX: Final = 64 << 20
"""Most bytes of events read for one query; beyond, the newest are returned."""
HOUR_NS: Final = 3600 * NS
Event = tuple[int, str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long each resolution is kept (days), and how many bytes all of them may take."""

    second_days: float = 2.0
    minute_days: float = 35.0
    quarter_days: float = 400.0
    bytes_max: int = 1 << 30

    def days(self, resolution: str) -> float:
        """Return the days for which a resolution is kept."""
        return {SECOND: self.second_days, MINUTE: self.minute_days, QUARTER: self.quarter_days}[resolution]


class NoHistory(Exception):
    """Nothing was kept of the requested window, or too much; the message is one line with the remedy."""


def _stamp(ns: int, resolution: str) -> str:
    return datetime.fromtimestamp(ns / NS, UTC).strftime(_NAMES[resolution])


def write_whole(table: pa.Table, path: Path) -> None:
    """Write a Parquet file, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    pq.write_table(table, fresh, compression="zstd", compression_level=6)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)


@dataclass(slots=True)
class Store:
    """The history of one node in one folder; one writer, any number of readers.

    Raises OSError where it cannot write. `write_ns`: how many seconds a kill may lose.
    """

    folder: Path
    retention: Retention = field(default_factory=Retention)
    write_ns: int = WRITE_NS
    left_out: int = 0
    unread: set[Path] = field(default_factory=set)
    """Files that were there and could not be read: what they hold is missing in what was read."""
    _minute: list[Row] = field(default_factory=list)
    _minutes: list[Row] | None = None
    """The minutes of the current hour, in the writing store; a reader makes them from the seconds."""
    _events: list[Event] = field(default_factory=list)
    _named: Counter[str] = field(default_factory=Counter)
    _written_ns: int = 0

    # -- writing -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the folders, resume the minute being written, and finish hours that a kill left open."""
        for resolution in LENGTHS:
            (self.folder / resolution).mkdir(parents=True, exist_ok=True)
        for stray in self.folder.glob("*/.*.new"):
            stray.unlink(missing_ok=True)
        for stamp in sorted({path.stem.split("-")[1] for path in self._parts()}):
            self._finish_hour(stamp)
        self._minutes = []

    def add(self, row: Row) -> None:
        """Add one second. A clock that was set back begins a new minute."""
        minute = row.start_ns // LENGTHS[MINUTE]
        if self._minute and self._minute[0].start_ns // LENGTHS[MINUTE] != minute:
            self.flush()
            before = self._minute[0].start_ns
            self._minutes = [*(self._minutes or ()), *rolled(self._minute, LENGTHS[MINUTE])]
            self._minute, self._events = [], []
            self._named.clear()
            self._over(before, row.start_ns)
        self._minute.append(row)
        if not 0 <= row.start_ns - self._written_ns < self.write_ns:
            self.flush()

    def happened(self, at_ns: int, name: str, fields: dict[str, Any]) -> None:
        """Add one event."""
        if name != BOXES:
            self._named[name] += 1
            if self._named[name] > EVENTS_A_MINUTE:
                self.left_out += 1
                return
        self._events.append((at_ns, name, fields))

    def flush(self) -> None:
        """Write the current minute so far."""
        if not self._minute:
            return
        start_ns = self._minute[0].start_ns
        self._written_ns = self._minute[-1].start_ns
        stamp = f"{_stamp(start_ns, SECOND)}-{start_ns // LENGTHS[MINUTE] % 60:02d}"
        folder = self.folder / SECOND
        write_whole(channel_table(self._minute), folder / f"channels-{stamp}.parquet")
        if self._events:
            write_whole(event_table(self._events), folder / f"events-{stamp}.parquet")
        write_whole(node_table(self._minute), folder / f"node-{stamp}.parquet")

    def close(self) -> None:
        """Write what is not yet written."""
        self.flush()
        self._minute, self._events, self._minutes = [], [], None

    def _over(self, before_ns: int, now_ns: int) -> None:
        """Finish a minute, and an hour that ends with it; freed memory is returned to the system."""
        if before_ns // HOUR_NS != now_ns // HOUR_NS:
            self._finish_hour(_stamp(before_ns, SECOND))
            self._minutes = []
        self.retain(now_ns)
        pa.default_memory_pool().release_unused()

    def _parts(self) -> Iterator[Path]:
        return (path for path in self._files(SECOND) if path.stem.count("-") == 2)

    def _finish_hour(self, stamp: str) -> None:
        """Merge an hour's minute files, and make rows of minutes and quarters of an hour from them."""
        folder = self.folder / SECOND
        node, channels = (self._hour(kind, stamp) for kind in ("node", "channels"))
        events = self._hour("events", stamp)
        minutes = minutes_of(node, channels, LENGTHS[MINUTE])
        if minutes:
            self._extend(MINUTE, minutes)
            self._extend(QUARTER, rolled(minutes, LENGTHS[QUARTER]))
            for kind, table in (("channels", channels), ("events", events), ("node", node)):
                if table.num_rows:
                    write_whole(table, folder / f"{kind}-{stamp}.parquet")
        for part in list(self._parts()):
            if part.stem.split("-")[1] == stamp:
                part.unlink(missing_ok=True)

    def _hour(self, kind: str, stamp: str) -> pa.Table:
        folder = self.folder / SECOND
        whole = [folder / f"{kind}-{stamp}.parquet", *sorted(folder.glob(f"{kind}-{stamp}-*.parquet"))]
        return distinct(kind, [path for path in whole if path.is_file()])

    def _extend(self, resolution: str, rows: list[Row]) -> None:
        for stamp in sorted({_stamp(row.start_ns, resolution) for row in rows}):
            mine = [row for row in rows if _stamp(row.start_ns, resolution) == stamp]
            fresh = {row.start_ns for row in mine}
            paths = {kind: self.folder / resolution / f"{kind}-{stamp}.parquet" for kind in ("node", "channels")}
            held = {kind: distinct(kind, [path] if path.is_file() else []) for kind, path in paths.items()}
            before = [row for row in rows_of(held["node"], held["channels"]) if row.start_ns not in fresh]
            both = sorted([*before, *mine], key=lambda row: row.start_ns)
            write_whole(channel_table(both), paths["channels"])
            write_whole(node_table(both), paths["node"])

    # -- keeping it bounded --------------------------------------------------------------------------------------

    def retain(self, now_ns: int) -> list[Path]:
        """Remove expired files, then the oldest of the finest resolution while over the limit; returns the removed."""
        removed = [
            path
            for resolution in LENGTHS
            for path in self._files(resolution)
            if _ended_ns(path, resolution) < now_ns - self.retention.days(resolution) * 86_400 * NS
        ]
        for path in removed:
            path.unlink(missing_ok=True)
        total = self.size()
        for resolution in LENGTHS:
            for path in self._files(resolution):
                if total <= self.retention.bytes_max:
                    return removed
                if now_ns // HOUR_NS * HOUR_NS < _ended_ns(path, resolution):
                    continue  # still being written
                with suppress(OSError):
                    total -= path.stat().st_size
                path.unlink(missing_ok=True)
                removed.append(path)
        return removed

    def size(self) -> int:
        """Return the bytes on disk."""
        total = 0
        for path in self.folder.glob("*/*.parquet"):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def _files(self, resolution: str) -> list[Path]:
        """Return the files of one resolution, oldest first; files with other names are ignored."""
        found = (path for path in (self.folder / resolution).glob("*.parquet") if _NAME.fullmatch(path.stem))
        named = (path for path in found if _is_stamp(path.stem.split("-")[1], resolution))
        return sorted(named, key=lambda p: p.stem.split("-", 1)[1])

    # -- reading -------------------------------------------------------------------------------------------------

    def rows(self, resolution: str, from_ns: int, to_ns: int, most: int = CHANNEL_ROWS_MAX) -> list[Row]:
        """Return the rows that begin in [from_ns, to_ns), ascending; seconds not yet written are included.

        Minutes and quarters of hours not over yet are made from their seconds. Raises NoHistory for more than `most`
        channel rows.
        """
        node, channels = (self._read(kind, resolution, from_ns, to_ns, most) for kind in ("node", "channels"))
        rows = {row.start_ns: row for row in rows_of(node, channels)}
        if resolution == SECOND:
            rows.update({row.start_ns: row for row in self._minute if from_ns <= row.start_ns < to_ns})
        elif self._minutes is not None:
            length_ns = LENGTHS[resolution]
            for row in rolled([*self._minutes, *self._minute], length_ns):
                if from_ns <= row.start_ns < to_ns:
                    before = [rows[row.start_ns]] if row.start_ns in rows else []  # from before a restart
                    rows[row.start_ns] = merged([*before, row], start_ns=row.start_ns, length_ns=length_ns)
        else:
            length_ns = LENGTHS[resolution]
            for stamp in sorted({path.stem.split("-")[1] for path in self._parts()}):
                begin_ns = round(datetime.strptime(stamp, _NAMES[SECOND]).replace(tzinfo=UTC).timestamp()) * NS
                first, last = max(from_ns, begin_ns), min(to_ns + length_ns, begin_ns + HOUR_NS)
                if first < last:
                    found = rolled(self.rows(SECOND, first // length_ns * length_ns, last, most), length_ns)
                    rows.update({row.start_ns: row for row in found if from_ns <= row.start_ns < to_ns})
        return [rows[start] for start in sorted(rows)]

    def events(self, from_ns: int, to_ns: int, newest: int = EVENTS_READ) -> pa.Table:
        """Return the events in [from_ns, to_ns), as long as seconds are kept; at most the `newest` events."""
        waiting = event_table(one for one in self._events if from_ns <= one[0] < to_ns)
        found, count, size = [waiting], waiting.num_rows, waiting.nbytes
        for path in reversed(self._between("events", SECOND, from_ns, to_ns)):
            if count >= newest or size >= EVENT_BYTES_MAX:
                break
            found.append(lightest(within(distinct("events", [path]), "at_ns", from_ns, to_ns), EVENT_BYTES_MAX))
            count, size = count + found[-1].num_rows, size + found[-1].nbytes
        table = pa.concat_tables(found).group_by(SCHEMAS["events"].names).aggregate([]).sort_by("at_ns")
        return lightest(table.slice(max(0, table.num_rows - newest)), EVENT_BYTES_MAX)

    def _read(self, kind: str, resolution: str, from_ns: int, to_ns: int, most: int) -> pa.Table:
        found, count = [SCHEMAS[kind].empty_table()], 0
        for path in self._between(kind, resolution, from_ns, to_ns):
            found.append(within(distinct(kind, [path], self.unread), "start_ns", from_ns, to_ns))
            count += found[-1].num_rows
            if count > most:
                raise NoHistory(f"{self.folder}: more than {most} rows in this time; ask for less, or by the minute")
        return once(kind, found)

    def _between(self, kind: str, resolution: str, from_ns: int, to_ns: int) -> list[Path]:
        """Return the files of a kind with any row in [from_ns, to_ns), oldest first."""
        return [
            path
            for path in self._files(resolution)
            if path.stem.startswith(f"{kind}-")
            and _began_ns(path, resolution) < to_ns
            and from_ns < _ended_ns(path, resolution)
        ]


def _is_stamp(stamp: str, resolution: str) -> bool:
    try:
        datetime.strptime(stamp, _NAMES[resolution]).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _began_ns(path: Path, resolution: str) -> int:
    stamp, _, minute = path.stem.split("-", 1)[1].partition("-")
    began = datetime.strptime(stamp, _NAMES[resolution]).replace(tzinfo=UTC)
    return round(began.timestamp()) * NS + (int(minute) * 60 * NS if minute else 0)


def _ended_ns(path: Path, resolution: str) -> int:
    """Return the latest instant at which the last stretch of a file ends."""
    spans = {SECOND: 3600, MINUTE: 86_400, QUARTER: 31 * 86_400}
    seconds = 60 if path.stem.count("-") == 2 else spans[resolution]
    return _began_ns(path, resolution) + seconds * NS
