"""Sets a process's scheduling priority: before the other processes of its host, or after them.

What silences a radio may not wait behind what merely computes; what strangers keep busy may not keep a node waiting.
"""

import contextlib
import os
import sys
from pathlib import Path

PRIORITY = 1
NICE = -10
SWITCH_S = 0.0005
"""Longest time in s that one Python thread runs before another gets its turn; Python's default is ten times that."""


def before_others() -> str:
    """Ask for real-time scheduling, else for a better nice value; returns what was granted, in words.

    Threads started afterwards inherit it. Neither is allowed to everyone (RLIMIT_RTPRIO, RLIMIT_NICE): without them the
    process runs like any other, and the warden closes earlier by how late it sees itself run. Its threads give way to
    one another sooner.
    """
    sys.setswitchinterval(SWITCH_S)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    except OSError:
        pass
    else:
        return "real-time"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError:
        return "ordinary"
    return "nice"


def after_others(nice: int) -> None:
    """Let this process yield to the others of its host, by a nice value.

    Linux gives each session an equal share where it groups processes by them (sched(7), autogroup), and a nice value
    counts within a session only: of one that a process leads itself the whole session yields.
    """
    os.nice(nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # a kernel without autogroup, or a container that may not write the file
            Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")


def like_others() -> None:
    """Reset to normal priority, where the parent process passed on a higher one."""
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except OSError:
        return
