"""Removes a file that is no longer needed, such as the socket of a process that ends, ignoring failures."""

from contextlib import suppress
from pathlib import Path


def clear_away(path: Path) -> None:
    """Remove a file; ignores a folder that is missing or not writable."""
    with suppress(OSError):
        path.unlink()
