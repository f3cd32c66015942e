"""Runs a process before the others of its host, or after them.

What silences a radio may not wait behind what merely computes; what strangers keep busy may not keep a node waiting.
"""

import contextlib
import os
import sys
from pathlib import Path

PRIORITY = 1
NICE = -10
SWITCH_S = 0.0005
"""How long another thread of the process may go on in Python; by itself it would be ten times that."""


def before_others() -> str:
    """Ask for real-time turns, else for a better nice value; returns what was granted, in words.

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
    """Have a process yield to the others of its host, by so much.

    Linux gives each session an equal share where it groups processes by them (sched(7), autogroup), and a nice value
    counts within a session only: of one that a process leads itself the whole session yields.
    """
    os.nice(nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # without such groups, and where a container's files may not be written
            Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")


def like_others() -> None:
    """Give up what a parent that runs before others passed on."""
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except OSError:
        return
