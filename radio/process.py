"""A process that ends with its parent and stops in order when asked."""

import ctypes
import os
import signal
import threading

PR_SET_PDEATHSIG = 1


class OrphanedAtBirth(Exception):
    """The parent was gone before this process could ask to end with it."""


def die_with_parent(parent_pid: int | None = None) -> None:
    """Have the kernel send SIGTERM when the thread that started this process ends (prctl(2), PR_SET_PDEATHSIG).

    Args:
        parent_pid: who is expected to be the parent; checked after the request, so that a death in between is seen.

    Raises:
        OrphanedAtBirth: that parent is gone already.
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent_pid is not None and os.getppid() != parent_pid:
        raise OrphanedAtBirth


def give_back() -> None:
    """Return to the system what loading left free in the C library's heap; nothing where that library cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; call from the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
