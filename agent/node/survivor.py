"""The survivor: a small process that mutes the radio when its warden ended or hangs and no other process can.

Agent and warden mute for each other. What ends or stops both at once (two SIGKILLs, a limit that both run into, a
SIGSTOP to both) would leave the radio as it was. The survivor is forked by the warden before it has any thread, runs in
a session of its own, ignores every signal that can be ignored, and shares nothing with the warden but a pipe.

The warden writes a byte into the pipe every EVERY_S, and LAST_WORD when its radio reads back as silent at the end.
The survivor mutes over its own connection when the pipe ends without LAST_WORD, and when no byte came for `limit_s`
after a first one. It needs no state of the gate: to mute a silent radio changes nothing.
"""

import ctypes
import gc
import os
import select
import signal
import time
import warnings
from collections.abc import Callable
from typing import Final, NoReturn

from radio.ports import RfState

ALIVE, LAST_WORD = b"a", b"e"
EVERY_S: Final = 0.1
"""Interval in seconds between the warden's bytes."""
LIMIT_S: Final = 1.0
"""Longest time in seconds without a byte from the warden; its agent mutes much earlier."""
RETRY_S: Final = 0.5
LAST_S: Final = 60.0
"""Seconds for which an ending process, or the survivor after its end, repeats muting until the radio reads back OFF."""
REST_S: Final = 0.01
FAILURES_MAX: Final = 100
"""How often in a row waiting for the warden's word may fail before the warden counts as silent."""
PROCESS_NAME: Final = "bandpact-mute"
"""The survivor's name in /proc/PID/comm: its command line is the warden's."""
_PR_SET_NAME: Final = 15


def watch(reader: int, mute: Callable[[], RfState], *, limit_s: float = LIMIT_S, last_s: float = LAST_S) -> bool:
    """Follow the warden's pipe to its end; returns whether nothing was left to mute, or the radio read back as OFF.

    Args:
        reader: the pipe's end to read.
        mute: mutes over a connection of its own and reads back; an exception counts as UNKNOWN.
        limit_s: longest time without a byte from the warden after its first one.
        last_s: how long to keep trying after the warden ended.
    """
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    timeout_ms: float | None = None
    failures = 0
    while True:
        try:
            spoke, failures = bool(poll.poll(timeout_ms)), 0
        except OSError:  # an error number of the kernel's own, after a debugger was attached
            failures += 1
            time.sleep(REST_S)
            if failures < FAILURES_MAX:
                continue
            spoke, failures = False, 0  # nobody can tell whether the warden lives
        if not spoke:
            timeout_ms = None if _muted(mute) is RfState.OFF else RETRY_S * 1000
            continue
        said = os.read(reader, 4096)
        if LAST_WORD in said:
            return True
        if not said:
            break
        timeout_ms = limit_s * 1000
    return mute_until_silent(mute, last_s=last_s) is RfState.OFF


def mute_until_silent(mute: Callable[[], RfState], *, last_s: float = LAST_S, retry_s: float = RETRY_S) -> RfState:
    """Mute until the radio reads back as OFF or `last_s` seconds have passed; returns the last readback."""
    until = time.monotonic() + last_s
    while (state := _muted(mute)) is not RfState.OFF and time.monotonic() < until:
        time.sleep(retry_s)
    return state


def _muted(mute: Callable[[], RfState]) -> RfState:
    try:
        return mute()
    except Exception:  # noqa: BLE001 - whatever it is, the next try follows; nobody is left to tell
        return RfState.UNKNOWN


class Survivor:
    """The warden's end of the pipe: reports that the warden lives, and at the end that the radio is silent."""

    def __init__(self, mute: Callable[[], RfState], *, limit_s: float = LIMIT_S) -> None:
        """Fork the survivor's process; call this before any thread is started.

        Args: mute: see `watch`; it is called in the forked process. limit_s: see `watch`.
        Raises: OSError where no process or pipe can be had.
        """
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._next_ns = 0
        # Objects loaded so far are not garbage-collected again: pages that nobody writes stay shared by both processes.
        gc.collect()
        gc.freeze()
        # The forked process starts with every signal blocked: none can end it before its first instruction.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            with warnings.catch_warnings():
                # A numerical library may already have threads; the forked process calls no such library.
                warnings.simplefilter("ignore", DeprecationWarning)
                self.pid = os.fork()
            if self.pid == 0:
                _live_on(reader, mute, limit_s)
        except OSError:
            os.close(self._writer)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(reader)

    def alive(self, mono_ns: int) -> None:
        """Report that the warden lives, where it is due. Never blocks; a survivor that is gone is ignored."""
        if mono_ns >= self._next_ns:
            self._next_ns = mono_ns + round(EVERY_S * 1e9)
            self._say(ALIVE)

    def rest(self) -> None:
        """Report that the radio reads back as silent and nothing will open it: the survivor ends."""
        self._say(LAST_WORD)

    def close(self) -> None:
        """Close the pipe; without `rest` before, the survivor mutes now."""
        os.close(self._writer)
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return

    def _say(self, word: bytes) -> None:
        try:
            os.write(self._writer, word)
        except OSError:  # the pipe is full or has no reader
            return


def _live_on(reader: int, mute: Callable[[], RfState], limit_s: float) -> NoReturn:
    """The forked process, from its first instruction to its last."""
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_NAME, PROCESS_NAME.encode(), 0, 0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nowhere, standard)
        # Close every inherited descriptor: the warden's locks and sockets end with the warden.
        os.closerange(3, reader)
        os.closerange(reader + 1, 1 << 20)
        silent = watch(reader, mute, limit_s=limit_s)
    except BaseException:  # noqa: BLE001 - nothing of the warden's own ending may run here
        os._exit(1)
    os._exit(0 if silent else 1)
