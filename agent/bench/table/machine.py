"""The machine of a benchmark table, as the system describes it."""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Processor, cores this process may use, memory (GiB), system, versions; load averages of 1 and 5 minutes."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    numpy: str
    load_1: float
    load_5: float

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)


def this_machine() -> Machine:
    """Return the machine's present state."""
    import numpy as np

    load_1, load_5, _ = os.getloadavg()
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        python=platform.python_version(),
        numpy=np.__version__,
        load_1=round(load_1, 2),
        load_5=round(load_5, 2),
    )


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "not said by the system"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or "not said by the system"
