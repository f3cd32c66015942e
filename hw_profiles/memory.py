"""Measures the peak resident memory of this process, for benchmarks and soak tests."""

import resource
import sys
from pathlib import Path


def peak_mib() -> float:
    """Peak resident memory of this process so far, in MiB.

    `ru_maxrss` alone is not that: on Linux a process that was started by a larger one begins with what that one had, as
    the peak is carried over `exec`. The high-water mark of the address space (`VmHWM`, proc(5)) is its own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20) if sys.platform == "darwin" else used / 1024
