"""What failed against the clock is run three times more, alone: the machine's fault if it always passes, else ours.

Run by `make test` after the tests that run against the clock failed. A few of them need other programs, sockets and
radios to answer in time, and on a shared machine one of some 1,900 now and then is not given the processor. More than
FEW failures are no accident, and none is tried again.
"""

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
FEW, TIMES = 4, 3


def main() -> int:
    """0 when every test that failed passed each time it was run again; 1 otherwise, with what was run and why."""
    names = sorted(json.loads(FAILED.read_text())) if FAILED.is_file() else []
    if not 0 < len(names) <= FEW:
        print(f"{len(names)} tests failed, not 1 to {FEW}: none is run again")
        return 1
    print(f"run again, {TIMES} times alone: {' '.join(names)}", flush=True)
    for name in names:
        for time in range(1, TIMES + 1):
            if subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name], check=False
            ).returncode:
                print(f"failed again, at time {time} of {TIMES} alone: {name}")
                return 1
    print(f"UNSTEADY, failed once and then passed {TIMES} times: {' '.join(names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
