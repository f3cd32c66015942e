"""What a node did, as JSON lines for people and programs that watch it; the lineage, not this, is the record."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE, BEFORE = "events.jsonl", "events.before.jsonl"
WATERFALL = "waterfall.npz"
"""What the node heard, left beside its events when it ends."""
LOST = "events lost"
AGAIN_BYTES = 1 << 20
"""Where no new file could be opened, it is tried again after so many bytes."""
FILE_BYTES_MAX = 64 << 20
"""A file that is full takes the place of the one before it: refusals come at a stranger's pace, and fill no disk."""


def plain(value: Any) -> Any:
    """A value as JSON has it: bytes in hexadecimal, anything unknown as its text."""
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


class EventLog:
    """Appends one line for each event, with the node and the host's monotonic time; `listeners` are told as well."""

    def __init__(self, folder: Path, node: str) -> None:
        self._node, self._folder = node, folder
        self.lost = 0
        """Events that the disk did not take, and nobody was told of yet."""
        self.listeners: list[Callable[[str, dict[str, object]], None]] = []
        self._torn = False
        """Whether the file ends in the middle of a line."""
        self._open()

    def _open(self) -> None:
        self._file = (self._folder / FILE).open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, name: str, **fields: Any) -> None:
        """Append an event; one that the disk does not take is counted, and whoever listens hears of it all the same."""
        kept = {key: plain(value) for key, value in fields.items()}
        if self._append(self._line(name, kept)) and self.lost:
            lost, self.lost = self.lost, 0
            self._append(self._line(LOST, {"events": lost}))
        for listener in self.listeners:
            listener(name, {"node": self._node, **kept})

    def _line(self, name: str, kept: dict[str, Any]) -> bytes:
        told = {"mono_ns": time.monotonic_ns(), "node": self._node, "event": name, **kept}
        return json.dumps(told).encode() + b"\n"

    def _append(self, line: bytes) -> bool:
        """Whether the disk took a line whole; what it took of one that it did not ends before the next."""
        if self._size + len(line) > FILE_BYTES_MAX:
            self._begin_anew()
        try:
            written = self._file.write(b"\n" + line if self._torn else line)
        except OSError:
            written = 0
        self._size += written
        whole = written == len(line) + self._torn
        self._torn = not whole and (self._torn or written > 0)
        self.lost += not whole
        return whole

    def _begin_anew(self) -> None:
        """Put the full file in the place of the one before; where none can be opened now, it takes more for a while."""
        full = self._file
        try:
            if (self._folder / FILE).exists():
                (self._folder / FILE).replace(self._folder / BEFORE)
            self._open()
        except OSError:  # strangers hold what this process may open, or the folder is full
            self._size = FILE_BYTES_MAX - AGAIN_BYTES
            return
        full.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All events of a node; a last line that was cut short is left out."""
    events: list[dict[str, Any]] = []
    for path in (folder / BEFORE, folder / FILE):
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                events.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
    return events
