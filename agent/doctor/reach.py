"""Tests which users of this host can connect to the radio's own daemon, which has no password."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from agent.config.settings import NodeConfig
from agent.node.warden_process import OPERATOR

IIOD_PORT = 30431
NOBODY = 65534
CONNECT_S = 1.0
_CONNECTED, _REFUSED = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Result of a connection test: `user` is the id it ran as; `connected` is None where that is unknown."""

    user: int
    connected: bool | None
    ours: bool
    """Whether that user is the warden's, which must reach the radio."""


def connects(address: tuple[str, int], user: int | None = None) -> bool:
    """Return whether a TCP connection is accepted, tried as another user where one is named (that needs root)."""
    try:
        family, kind, proto, _, where = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
    except OSError:
        return False
    child = os.fork()
    if child == 0:
        # Only system calls between fork and exit: other threads of the parent may hold locks.
        try:
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            with socket.socket(family, kind, proto) as trying:
                trying.settimeout(CONNECT_S)
                trying.connect(where)
            os._exit(_CONNECTED)
        except OSError:
            os._exit(_REFUSED)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == _CONNECTED


def wardens_user(run_folder: Path) -> int | None:
    """Return the owner of the warden's socket; None while the warden does not run."""
    try:
        return (run_folder / OPERATOR).stat().st_uid
    except OSError:
        return None


def tried(config: NodeConfig) -> Reach | None:
    """Try to connect to the radio's daemon as an unrelated user; None where the radio is not on the network."""
    address = config.radio.network_address()
    if address is None:
        return None
    me, owner = os.geteuid(), wardens_user(config.run_folder)
    if me != 0:
        ours = me == owner or not config.warden.apart
        return Reach(user=me, connected=connects(address), ours=ours)
    if not connects(address):
        return Reach(user=NOBODY, connected=None, ours=False)
    return Reach(user=NOBODY, connected=connects(address, NOBODY), ours=False)
