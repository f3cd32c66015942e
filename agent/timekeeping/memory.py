"""The latest time a node was sure of, kept in a file: after a restart nothing earlier is believed.

Without it a receiver that is fed a recording of last week could open settlements of last week again.
"""

import contextlib
import os
from pathlib import Path

BUILT_NS = 1_793_491_200_000_000_000
"""2026-11-01, before which this version did not exist; moved on with each release."""
AHEAD_NS = 15 * 365 * 86_400 * 1_000_000_000
"""Nothing of this version is in use 15 years later; a receiver whose week number is 1024 weeks off says 19 to 20."""
SIZE_MAX = 32


class TimeMemory:
    """A file with one instant, ns since the Unix epoch."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self) -> int:
        """The instant kept; 0 when there is none, or nothing that can be one."""
        try:
            with self._path.open("rb") as file:
                said = int(file.read(SIZE_MAX))
        except (OSError, ValueError):
            return 0
        return said if BUILT_NS <= said <= BUILT_NS + AHEAD_NS else 0

    def keep(self, earliest_ns: int | None) -> None:
        """Keep an instant, whole or not at all; without room for it the last one stands."""
        if earliest_ns is None:
            return
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            fresh.write_text(f"{earliest_ns}\n", encoding="ascii")
            fresh.replace(self._path)
