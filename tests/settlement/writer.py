"""A process that appends to a log until it is killed: `python -m tests.settlement.writer LOG`.

Says on standard output, after each commit, how many entries are acknowledged.
"""

import sys
from pathlib import Path

from settlement.chain.keys import SigningKey
from settlement.chain.leaf import OWN, admitted_leaf
from settlement.chain.lineage import Lineage
from tests.settlement.world import fix, seed

ORIGIN = "bandpact/test-net/writer"
KEY = SigningKey.from_seed(seed("writer"))


def main(path: str) -> None:
    log = Lineage(Path(path), origin=ORIGIN)
    group = 1
    while True:
        with log.transaction():
            for _ in range(group):
                log.append(admitted_leaf(b"entry %d" % log.size, origin=OWN, now=fix(log.size).time), None)
            if group == 3:
                log.checkpoint(KEY)
        group = group % 7 + 1
        sys.stdout.write(f"{log.size}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
