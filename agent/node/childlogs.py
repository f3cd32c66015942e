"""Bounds the log files of a node's child processes, so that a line repeated for weeks cannot fill the disk."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

BYTES_MAX: Final = 1 << 20
NAMES: Final = ("warden.log", "samples.log")


def keep_small(folder: Path, names: Iterable[str] = NAMES) -> None:
    """Copy each full log file to `NAME.before`, replacing the earlier copy, and truncate the file.

    The process that writes the file appends and continues. Where the disk takes no copy, the file stays as it is.
    """
    for name in names:
        path = folder / name
        with suppress(OSError):
            if path.stat().st_size > BYTES_MAX:
                shutil.copyfile(path, path.with_name(f"{name}.before"))
                os.truncate(path, 0)
