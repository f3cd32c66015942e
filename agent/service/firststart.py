"""What the first start of an installation has to do before anything of a node is loaded."""

import time

from agent.config.locks import agents
from agent.config.openfiles import have_addresses
from agent.config.settings import NodeConfig
from agent.service import logs
from sensing.compilation import is_ready, make_ready


def have_loops(config: NodeConfig) -> None:
    """Have the loops of sensing compiled, and say so: half a minute at the first start, nothing at every other.

    The node's folder is held meanwhile: whoever starts a second node there waits for nothing. Raises ConfigError, also
    where the process may have too little address space: then nothing is compiled.
    """
    if is_ready():
        return
    have_addresses()
    with agents(config, "bandpact run"):
        logs.begin()
        logs.tell("waiting", {"compiling": "the loops of sensing, once for this installation; half a minute or so"})
        began_s = time.monotonic()
        make_ready()
        logs.tell("compiled", {"took_s": round(time.monotonic() - began_s, 1)})
