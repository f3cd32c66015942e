"""The files that a node's other processes write to: what a library says each second for weeks fills no disk."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

BYTES_MAX: Final = 1 << 20
NAMES: Final = ("warden.log", "samples.log")


def keep_small(folder: Path, names: Iterable[str] = NAMES) -> None:
    """Begin a file anew once it is full; what it held takes the place of what was full before, `NAME.before`.

    The process that writes to it appends, and goes on. Where the disk takes no copy, the file stays as it is.
    """
    for name in names:
        path = folder / name
        with suppress(OSError):
            if path.stat().st_size > BYTES_MAX:
                shutil.copyfile(path, path.with_name(f"{name}.before"))
                os.truncate(path, 0)
