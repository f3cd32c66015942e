"""Running before others: what is granted is said, and no thread of the process holds the others up for long."""

import subprocess
import sys
from pathlib import Path

ASK = "import sys; from radio.priority import before_others; print(before_others(), sys.getswitchinterval())"


def test_what_was_granted_is_said_and_threads_give_way_soon() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    granted, interval_s = done.stdout.split()
    assert granted in ("real-time", "nice", "ordinary")
    assert float(interval_s) <= 0.001
