"""What a host allows a node's processes (open files, address space): raised as far as may be, refused where too little.

ZeroMQ ends a process with abort(3) where a local socket is accepted and no descriptor is left, and a log that cannot be
opened halts its node: a limit that neighbours' connections can use up is one they can end a node with.
"""

import resource
from typing import Final

from agent.config.settings import ConfigError

ROOM = 128
"""Files and sockets of a process beside the connections with neighbours."""

OF_A_CONNECTION = 2
"""Files for each connection: its own, and one of a connection that was cut and that ZeroMQ has yet to close."""

AT_ONCE = 4096
"""Further files, for connections that strangers open before the surplus is cut; fewer where the host has fewer."""

ADDRESSES: Final = 2 << 30
"""Address space of a node's process with its threads and libraries, bytes (1.4 GB were seen); most is never used."""


def _raised(limit: int, wanted: int) -> int | None:
    """Raise this process's soft limit where it is lower; the hard limit where that forbids it, else None."""
    soft, hard = resource.getrlimit(limit)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return hard
    resource.setrlimit(limit, (wanted, hard))
    return None


def have_addresses() -> None:
    """Let this process and those that it starts have ADDRESSES, where they are allowed less by now.

    Where they run out a library aborts the process, or a thread that has begun is waited for and never says so.

    Raises: ConfigError where the hard limit is lower.
    """
    hard = _raised(resource.RLIMIT_AS, ADDRESSES)
    if hard is not None:
        raise ConfigError(
            f"{hard >> 10} kB of address space are allowed (ulimit -v), {ADDRESSES >> 10} kB are needed; allow more"
        )


def have_open_files(connections: int, peers: int = 0) -> None:
    """Let this process open what `connections` to it, `peers` and ROOM need at once, where it is allowed less by now.

    And AT_ONCE more, or as many of those as the hard limit allows. Raises: ConfigError where the hard limit is lower
    than what is needed without them.
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
