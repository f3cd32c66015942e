"""Process lifetime: a child ends with its parent, signals stop it in order, and its memory stays small."""

import ctypes
import gc
import os
import select
import signal
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Final

PR_SET_PDEATHSIG = 1
REST_S: Final = 0.002
"""Pause in s after a wait that failed, so that the loop around it does not use a whole core."""


PARENT: Final = "_PARENT_OF_BANDPACT"
"""Environment variable: process number of the parent with which this process is to end."""


class OrphanedAtBirth(Exception):
    """The parent was gone before this process could ask to end with it."""


def die_with_parent(parent_pid: int | None = None) -> None:
    """Have the kernel send SIGTERM when the thread that started this process ends (prctl(2), PR_SET_PDEATHSIG).

    Args:
        parent_pid: who is expected to be the parent; checked after the request, so that a death in between is seen.
            If not given, the number in `PARENT` of the environment counts, which `child_environment` put there.

    Raises:
        OrphanedAtBirth: that parent is gone already.
        OSError: the kernel refuses.
    """
    told = os.environ.pop(PARENT, "")
    if parent_pid is None and told.isdecimal():
        parent_pid = int(told)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent_pid is not None and os.getppid() != parent_pid:
        raise OrphanedAtBirth


def child_environment() -> dict[str, str]:
    """This process's environment for a child that calls `die_with_parent`.

    An interpreter takes a second to start: a parent that ends in that second would leave a child that nobody ends.
    """
    return {**os.environ, PARENT: str(os.getpid())}


M_ARENA_MAX: Final = -8


def one_heap() -> None:
    """Make all threads allocate from one heap, before any is started; does nothing where the C library cannot.

    By itself glibc makes a heap for each thread (mallopt(3), M_ARENA_MAX), and what is free in one is of no use to the
    others: 10 to 15 MB of an agent. Threads here seldom wait for each other at it: they hold Python's lock by turns.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(M_ARENA_MAX, 1)


def give_back() -> None:
    """Return to the system what loading left free in the C library's heap; nothing where that library cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def keep_what_is_loaded() -> None:
    """Exempt all present objects from garbage collection, and return free memory; called once a process is set up.

    Python goes through all objects again and again for some that can go. Through those of an agent that takes 70 ms, in
    which neither its loop nor its sensing moves.
    """
    gc.collect()
    gc.freeze()
    give_back()


class SignalEvent(threading.Event):
    """An event that signal handlers may set safely, however many signals come and whatever they interrupt.

    `threading.Event.set` takes a lock that its own thread cannot take twice: a handler that interrupts `set`, `wait` or
    another handler would wait for itself for ever. The kernel sends the signal of a dead parent once for each of its
    threads, so that happens. Here a handler only assigns and writes a byte to a pipe, which whoever waits polls.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asked = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        weakref.finalize(self, _close, self._reader, self._writer)

    def fileno(self) -> int:
        """A file descriptor that is readable once the event is set, for a poll of several."""
        return self._reader

    def is_set(self) -> bool:
        """Whether the event is set."""
        return self._asked

    def set(self) -> None:
        """Set the event, for good, and wake all that wait for it."""
        if not self._asked:
            self._asked = True
            os.write(self._writer, b"\0")

    def clear(self) -> None:
        """Raise RuntimeError: a request to stop cannot be taken back."""
        raise RuntimeError("an asked stop is not taken back")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set, `timeout` seconds at most; returns whether it is."""
        until = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while not self._asked:
            left_s = None if until is None else max(0.0, until - time.monotonic())
            try:
                poll.poll(None if left_s is None else left_s * 1000)
            except OSError:  # a kernel-internal error number, after a debugger was attached: wait again
                time.sleep(REST_S)
            if left_s is not None and until is not None and time.monotonic() >= until:
                break
        return self._asked


def _close(*descriptors: int) -> None:
    for one in descriptors:
        os.close(one)


STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_FAULTS: Final = {"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"}
"""Signals of faults in the process itself: no orderly stop follows them."""
_HARMLESS: Final = {"SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH"}
_PAUSING: Final = {"SIGTSTP", "SIGTTIN", "SIGTTOU"}
_BEYOND: Final = {"SIGKILL", "SIGSTOP"}


def ending_signals() -> list[int]:
    """Every signal that by default ends a process at once and can be caught: signal(7), real-time ones included.

    Left out are faults of the process, such as SIGSEGV, and what this process was started to ignore, such as SIGHUP
    under nohup(1) and SIGPIPE in every Python program.
    """
    apart = {getattr(signal, name) for name in _FAULTS | _HARMLESS | _PAUSING | _BEYOND if hasattr(signal, name)}
    return sorted(one for one in signal.valid_signals() - apart if signal.getsignal(one) is signal.SIG_DFL)


def stop_on_signals(*, but: Iterable[signal.Signals] = ()) -> SignalEvent:
    """Return an event that is set by each signal that would end the process; call from the main thread.

    Args: but: signals to ignore instead.
    """
    stop = SignalEvent()
    for number in {*STOPPING, *ending_signals()}:
        signal.signal(number, lambda *_: stop.set())
    for number in but:
        signal.signal(number, signal.SIG_IGN)
    return stop


def never_paused() -> None:
    """Ignore the signals by which a terminal pauses a process (Ctrl-Z): only SIGSTOP still does."""
    for name in _PAUSING:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
