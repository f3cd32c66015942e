"""Asks the system to run this process before others, so that a busy machine does not hold up silence."""

import os
from contextlib import suppress

PRIORITY = 10
NICE = -10


def prefer() -> str:
    """Ask for real-time scheduling (sched(7)), else for a better niceness; returns what was granted.

    "fifo", "nice" or "normal". Without the right to either the process runs as any other, only later under load.
    """
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
        return "fifo"
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        return "nice"
    return "normal"
