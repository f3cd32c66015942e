"""Preparation at an installation's first start, done before any part of a node is loaded."""

import time

from agent.config.locks import agents
from agent.config.openfiles import have_addresses
from agent.config.settings import NodeConfig
from agent.service import logs
from sensing.compilation import is_ready, make_ready

MEND = "the node goes on and compiles for itself; when the machine is idle: python -m sensing.compilation"


def have_loops(config: NodeConfig) -> None:
    """Compile the loops of sensing where needed, with a message: half a minute at the first start, nothing later.

    The node's folder is locked meanwhile, so that a second node started there fails at once. Raises ConfigError, also
    where the process may have too little address space, in which case nothing is compiled.
    """
    if is_ready():
        return
    have_addresses()
    with agents(config, "bandpact run"):
        logs.begin()
        logs.tell("waiting", {"compiling": "the loops of sensing, once for this installation; half a minute or so"})
        began_s = time.monotonic()
        why, took_s = make_ready(), round(time.monotonic() - began_s, 1)
        if why:
            logs.tell("not compiled", {"why": why, "took_s": took_s, "mend": MEND})
        else:
            logs.tell("compiled", {"took_s": took_s})
