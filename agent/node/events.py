"""Writes a node's events as JSON lines for people and programs that watch it; the evidence is the lineage instead."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE, BEFORE = "events.jsonl", "events.before.jsonl"
WATERFALL = "waterfall.npz"
"""File for the waterfall of received power, written beside the events when the node ends."""
LOST = "events lost"
AGAIN_BYTES = 1 << 20
"""Number of bytes after which opening a new file is tried again where it failed."""
FILE_BYTES_MAX = 64 << 20
"""Size in bytes at which a file is rotated, keeping one earlier file: a stranger's refusals cannot fill the disk."""


def plain(value: Any) -> Any:
    """A value as JSON has it: bytes in hexadecimal, anything unknown as its text."""
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


class EventLog:
    """Appends one JSON line per event, with node and host's monotonic time; `listeners` get each event too."""

    def __init__(self, folder: Path, node: str) -> None:
        self._node, self._folder = node, folder
        self.lost = 0
        """Number of events that could not be written and were not yet reported."""
        self.listeners: list[Callable[[str, dict[str, object]], None]] = []
        self._torn = False
        """Whether the file ends in the middle of a line."""
        self._open()

    def _open(self) -> None:
        self._file = (self._folder / FILE).open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, name: str, **fields: Any) -> None:
        """Append an event; one that cannot be written is counted, and listeners still get it."""
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
        """Write a line; returns whether all of it was written. A partly written line is ended before the next one."""
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
        """Rotate a full file; where no new file can be opened, the full one grows on for AGAIN_BYTES."""
        full = self._file
        try:
            if (self._folder / FILE).exists():
                (self._folder / FILE).replace(self._folder / BEFORE)
            self._open()
        except OSError:  # strangers' connections hold all file descriptors, or the folder is full
            self._size = FILE_BYTES_MAX - AGAIN_BYTES
            return
        full.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Return all events of a node, oldest first; a line that is no JSON, such as one cut short, is left out."""
    events: list[dict[str, Any]] = []
    for path in (folder / BEFORE, folder / FILE):
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                events.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
    return events
