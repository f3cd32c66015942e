"""Raises a node process's limits on open files and address space, and refuses to start where they are too low.

ZeroMQ calls abort(3) where it accepts a local socket with no descriptor left, and a log that cannot be opened halts
its node: with too low a limit, neighbours' connections could end a node.
"""

import resource
from typing import Final

from agent.config.settings import ConfigError

ROOM = 128
"""Descriptors of a process besides its connections with neighbours."""

OF_A_CONNECTION = 2
"""Descriptors per connection: its own, and that of a closed connection that ZeroMQ has yet to release."""

AT_ONCE = 4096
"""Further descriptors for connections that strangers open before the surplus is closed; fewer on a limited host."""

ADDRESSES: Final = 2 << 30
"""Address space in bytes of a node's process with threads and libraries (1.4 GB were seen); most is never used."""


def _raised(limit: int, wanted: int) -> int | None:
    """Raise this process's soft limit where it is lower; returns the hard limit where that is too low, else None."""
    soft, hard = resource.getrlimit(limit)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return hard
    resource.setrlimit(limit, (wanted, hard))
    return None


def have_addresses() -> None:
    """Raise the address space limit of this process and its children to ADDRESSES where it is lower.

    Without address space a library aborts the process, or a new thread never reports that it has started.

    Raises: ConfigError where the hard limit is lower.
    """
    hard = _raised(resource.RLIMIT_AS, ADDRESSES)
    if hard is not None:
        raise ConfigError(
            f"{hard >> 10} kB of address space are allowed (ulimit -v), {ADDRESSES >> 10} kB are needed; allow more"
        )


def have_open_files(connections: int, peers: int = 0) -> None:
    """Raise the limit on open files to what `connections` to this process, `peers` and ROOM need together.

    Adds AT_ONCE, or as much of it as the hard limit allows. Raises: ConfigError where the hard limit is lower
    than the need without it.
    """
    wanted = OF_A_CONNECTION * connections + 2 * peers + ROOM
    hard = _raised(resource.RLIMIT_NOFILE, wanted + AT_ONCE)
    if hard is not None and hard >= wanted:
        hard = _raised(resource.RLIMIT_NOFILE, hard)
    if hard is not None:
        raise ConfigError(
            f"{hard} open files are allowed (ulimit -n), {wanted} are needed for [mesh] connections = {connections} "
            f"and {peers} peers; allow more, or lower the connections"
        )
