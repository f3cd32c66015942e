"""Removes a file that is of no use any more, such as the socket of a process that ends, where that can be done."""

from contextlib import suppress
from pathlib import Path


def clear_away(path: Path) -> None:
    """Remove a file. Where its folder is gone, is none, or may not be written to, whoever asks goes on without."""
    with suppress(OSError):
        path.unlink()
