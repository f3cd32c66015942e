"""How many files and sockets a process may have open: raised as far as it may be, and refused where that is too few.

ZeroMQ ends a process with abort(3) where a local socket is accepted and no descriptor is left, and a log that cannot be
opened halts its node: a limit that neighbours' connections can use up is one they can end a node with.
"""

import resource

from agent.config.settings import ConfigError

ROOM = 128
"""Files and sockets of a process beside the connections with neighbours."""


def have_open_files(connections: int, peers: int = 0) -> None:
    """Let this process open what `connections` to it, `peers` and ROOM need at once, where it is allowed less by now.

    Raises: ConfigError where the hard limit is lower.
    """
    wanted = connections + 2 * peers + ROOM
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigError(
            f"{hard} open files are allowed (ulimit -n), {wanted} are needed for [mesh] connections = {connections} "
            f"and {peers} peers; allow more, or lower the connections"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
