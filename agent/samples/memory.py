"""Limits the samples door's memory and connections, which a program could otherwise fill.

ZeroMQ bounds one message part and the number of waiting messages, but not the parts of a message: a sender that never
sends the last part fills the receiver's memory. Nor does it bound connections, and it aborts without descriptors. The
door ends before that, with a reason, and its agent starts it again with nothing held.
"""

import contextlib
import os
import resource
from pathlib import Path
from typing import Final

GROWTH_MAX: Final = 512 << 20
"""Most bytes beyond those at the start; eight messages of the longest part on each socket fit."""
LAST_RESORT: Final = 1 << 30
"""Bytes beyond GROWTH_MAX at which the kernel refuses memory, where the check came too late."""

FILES_MAX: Final = 512
"""Most open files, one per connection; the kernel's own limit is set to eight times as many, where permitted."""


class DoorOverfull(Exception):
    """The door exceeds a limit; the message is one line for the log."""


def held_bytes() -> int:
    """Return this process's own memory in bytes: resident, less what it shares with others, such as the rings."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text("ascii").split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE")


class MemoryBound:
    """Limits memory growth from the moment it is created, and open files."""

    def __init__(self, *, growth_max: int = GROWTH_MAX) -> None:
        self._most = held_bytes() + growth_max

    def look(self) -> None:
        """Check both limits. Raises DoorOverfull where one is exceeded."""
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
    """Set kernel limits on memory and open files far above these bounds, as a last resort."""
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
