"""What a node did, as JSON lines for people and programs that watch it; the lineage, not this, is the record."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = "events.jsonl"


def plain(value: Any) -> Any:
    """A value as JSON has it: bytes in hexadecimal, anything unknown as its text."""
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


class EventLog:
    """Appends one line for each event, with the node and the host's monotonic time; a `listener` is told as well."""

    def __init__(self, folder: Path, node: str) -> None:
        self._node = node
        self.listener: Callable[[str, dict[str, object]], None] | None = None
        self._file = (folder / FILE).open("a", buffering=1, encoding="utf-8")

    def write(self, name: str, **fields: Any) -> None:
        """Append an event."""
        kept = {key: plain(value) for key, value in fields.items()}
        self._file.write(json.dumps({"mono_ns": time.monotonic_ns(), "node": self._node, "event": name, **kept}) + "\n")
        if self.listener is not None:
            self.listener(name, {"node": self._node, **kept})

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All events of a node; a last line that was cut short is left out."""
    path = folder / FILE
    if not path.is_file():
        return []
    events: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events
