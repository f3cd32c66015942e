"""A process that appends to a log until it is killed: `python -m tests.settlement.writer LOG`.

In the same transactions it lets the bodies of all but the newest entries go and packs the pages behind them, as a node
does. Says on standard output, after each commit, how many entries are acknowledged.
"""

import sys
from pathlib import Path

from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage
from settlement.state import logpacker
from tests.settlement.packedlog import CURSOR_OF_RENEWALS, grow, let_go, packed
from tests.settlement.world import seed

ORIGIN = "bandpact/test-net/writer"
KEY = SigningKey.from_seed(seed("writer"))
STRETCH, KEPT = 16, 10
"""Rows packed in a step, and bodies kept: few, as a writer is killed after a few dozen entries."""


def main(path: str) -> None:
    log = Lineage(Path(path), origin=ORIGIN)
    logpacker.STRETCH = STRETCH  # type: ignore[misc]
    group = 1
    while True:
        with log.transaction():
            grow(log, group)
            let_go(log, max(0, log.size - KEPT - log.counted(CURSOR_OF_RENEWALS)))
            packed(log, KEY)
            if group == 3:
                log.checkpoint(KEY)
            log.stand(KEY)
        group = group % 7 + 1
        sys.stdout.write(f"{log.size}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
