"""A node's process on a host of its own: `python -m tests.settlement.hostnode SOCKET`.

Where a test chooses a point, the process pauses there once instead of dying, so that the test can cut its network.
"""

import os
import signal
import sys
from multiprocessing.connection import Client
from typing import ClassVar

from settlement.state.step import Step
from tests.settlement import peers
from tests.settlement.peers import Mortal, Node


class Pausing(Mortal):
    """Stops its own process at a chosen point of the first such step, until continued."""

    paused: ClassVar[bool] = False

    def _die_at(self, point: str, step: Step) -> None:
        here = self.kill is not None and self.kill[1] == point and self.kill[0] in peers.names_in(step)
        if here and not Pausing.paused:
            Pausing.paused = True
            os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    Node.loop_class = Pausing
    with Client(sys.argv[1]) as pipe:
        peers.serve(pipe.recv(), pipe)
