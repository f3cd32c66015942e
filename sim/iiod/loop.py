"""A simulated Pluto without an air: `python -m sim.iiod.loop paced|unpaced` prints its URI and serves until SIGTERM."""

import sys

import numpy as np

from radio.process import OrphanedAtBirth, die_with_parent, stop_on_signals
from sim.iiod.antenna import LoopAntenna
from sim.iiod.context import Firmware
from sim.iiod.host import Hosted
from sim.iiod.pluto import Pluto
from sim.iiod.server import IiodServer

SAMPLES = 1 << 20
SEED = 7


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM."""
    if arguments not in (["paced"], ["unpaced"]):
        print("usage: python -m sim.iiod.loop paced|unpaced", file=sys.stderr)
        return 2
    stop = stop_on_signals()
    try:
        die_with_parent()
    except OrphanedAtBirth:
        return 0
    noise = np.random.default_rng(SEED).normal(0, 300, (SAMPLES, 2)).astype("<i2")
    antenna = LoopAntenna(noise.tobytes())
    paced = arguments == ["paced"]
    hosted = Hosted(IiodServer(Pluto(Firmware(), antenna, quiet=True), antenna, paced=paced))
    print(hosted.uri, flush=True)
    stop.wait()
    hosted.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
