"""Kills the writer of a log at random points and looks at what is left."""

import os
import random
import select
import subprocess
import sys
from pathlib import Path

from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import Lineage
from tests.settlement.writer import KEY, ORIGIN

ROOT = Path(__file__).resolve().parent.parent.parent


def kill_once(path: Path, chosen: random.Random) -> int:
    """Start the writer, kill it with SIGKILL at a random point, return the last acknowledged size."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.settlement.writer", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        said = b""
        for _ in range(chosen.randrange(1, 12)):
            said += os.read(process.stdout.fileno(), 64)
        select.select([], [], [], chosen.random() * 0.004)
        process.kill()
        said += process.stdout.read()
    whole = said.rpartition(b"\n")[0].splitlines()
    return int(whole[-1]) if whole else 0


def killed_many_times(path: Path, times: int, seed: int) -> int:
    """Kill the writer again and again on one log; nothing acknowledged is lost, the tree verifies each time."""
    chosen = random.Random(seed)
    acknowledged = 0
    for number in range(times):
        acknowledged = max(acknowledged, kill_once(path, chosen))
        log = Lineage(path, origin=ORIGIN)
        assert log.size >= acknowledged, (number, seed)
        assert log.verify(KEY.public) is None, (number, seed)
        first = [decode_leaf(body) for body in log.bodies(max(0, log.size - 5))]
        for offset, leaf in enumerate(first, max(0, log.size - 5)):
            assert isinstance(leaf, Leaf)
            assert leaf.record == b"entry %d" % offset
        log.close()
    return acknowledged
