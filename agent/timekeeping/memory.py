"""Stores the latest time a node was sure of in a file: after a restart no earlier time is accepted.

Otherwise a receiver fed with a recording of last week could reopen last week's settlements.
"""

import contextlib
import os
from pathlib import Path

BUILT_NS = 1_793_491_200_000_000_000
"""2026-11-01: this version did not exist before; raised with each release."""
AHEAD_NS = 15 * 365 * 86_400 * 1_000_000_000
"""Limit in ns: no node runs this version 15 years later; a receiver's week rollover is 1024 weeks, 19 to 20 years."""
SIZE_MAX = 32


class TimeMemory:
    """A file with one instant, ns since the Unix epoch."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self) -> int:
        """Return the stored instant; 0 when there is none, or no plausible one."""
        try:
            with self._path.open("rb") as file:
                said = int(file.read(SIZE_MAX))
        except (OSError, ValueError):
            return 0
        return said if BUILT_NS <= said <= BUILT_NS + AHEAD_NS else 0

    def keep(self, earliest_ns: int | None) -> None:
        """Store an instant, whole or not at all; on a full disk the last one stays."""
        if earliest_ns is None:
            return
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            fresh.write_text(f"{earliest_ns}\n", encoding="ascii")
            fresh.replace(self._path)
