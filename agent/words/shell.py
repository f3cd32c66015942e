"""Commands that a message tells people to enter: a path with spaces or quotes in it is one word there."""

import shlex
from pathlib import Path


def quoted(path: Path | str) -> str:
    """A path as a shell takes it back."""
    return shlex.quote(str(path))
