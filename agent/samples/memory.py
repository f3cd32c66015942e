"""What the door may come to hold: memory, as a program's message is held until its last part, and connections.

ZeroMQ bounds one part, and how many messages wait, not how many parts a message has: whoever never sends the last one
fills the memory of whoever listens. Nor does it bound connections, and where no file can be opened any more it aborts.
The door ends before, with a reason, and its agent starts it again, without what was held.
"""

import contextlib
import os
import resource
from pathlib import Path
from typing import Final

GROWTH_MAX: Final = 512 << 20
"""Bytes beyond what the door held when it began; eight messages of the longest part on each socket fit."""
LAST_RESORT: Final = 1 << 30
"""Bytes beyond which the kernel itself gives no more, where the look came too late."""

FILES_MAX: Final = 512
"""Open files, each connection one; the kernel's own bound is set to eight times as many, where it may be."""


class DoorOverfull(Exception):
    """The door holds more than it may; one line for the log."""


def held_bytes() -> int:
    """This process's own memory: resident, less what it shares with others, such as the rings."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text("ascii").split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE")


class MemoryBound:
    """Counts from when it is made."""

    def __init__(self, *, growth_max: int = GROWTH_MAX) -> None:
        self._most = held_bytes() + growth_max

    def look(self) -> None:
        """Raises DoorOverfull where too much is held."""
        held = held_bytes()
        if held > self._most:
            raise DoorOverfull(
                f"{held >> 20} MiB are held, at most {self._most >> 20}: a program sends a message that does not end; "
                "the door starts anew"
            )
        files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the number alone
        if files > FILES_MAX:
            raise DoorOverfull(f"{files} files are open, at most {FILES_MAX}: a program connects over and over")


def set_last_resort() -> None:
    """Have the kernel refuse this process memory and open files far beyond the bounds, and not before."""
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 8 * FILES_MAX
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        now = int(Path("/proc/self/statm").read_text("ascii").split()[5]) * os.sysconf("SC_PAGESIZE")
        wanted = now + GROWTH_MAX + LAST_RESORT
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
