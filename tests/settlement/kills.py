"""Kills the writer of a log at random points and checks the log."""

import os
import random
import select
import subprocess
import sys
from pathlib import Path

from settlement.chain.lineage import Lineage
from settlement.state.logpacker import PACKED
from settlement.state.retention import RENEWALS
from tests.settlement.packedlog import check_entries
from tests.settlement.writer import KEPT, KEY, ORIGIN, STRETCH

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
    """Kill the writer repeatedly on one log; nothing acknowledged may be lost, and the log must verify each time."""
    chosen = random.Random(seed)
    acknowledged = packed_to = 0
    for number in range(times):
        acknowledged = max(acknowledged, kill_once(path, chosen))
        log = Lineage(path, origin=ORIGIN)
        assert log.size >= acknowledged, (number, seed)
        assert log.verify(KEY.public, standing=True) is None, (number, seed)
        assert check_entries(log) == max(0, log.size - KEPT), (number, seed)
        assert log._one("PRAGMA integrity_check") == "ok", (number, seed)
        packed_to = log.counted(f"{PACKED}{RENEWALS}")
        log.close()
    assert packed_to >= min(STRETCH, acknowledged - KEPT)
    return acknowledged
