"""Waiting for several sockets at once, also where the wait itself fails now and then.

Linux may hand a program an error number that is the kernel's own (516, where a debugger was attached and let go), and
ZeroMQ passes it on. Nothing is lost by it: what arrived is still there. So a wait that failed counts as one in which
nothing was heard, for `PATIENCE_S` in a row; then `WaitFailed` is raised.
"""

import errno
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import zmq

from radio.errors import LocalError

PATIENCE_S: Final = 5.0
"""How long waits may fail in a row."""
REST_S: Final = 0.002
"""The pause after a wait that failed: a loop around it takes no whole core."""
TELL_S: Final = 60.0
"""A wait that fails now and then is told of this often at most."""
_DEFECTS: Final = frozenset({zmq.ETERM, zmq.ENOTSOCK, errno.EBADF})
"""Error numbers that say that a socket or its context is gone: waiting longer mends nothing."""
Heard = TypeVar("Heard")


class WaitFailed(LocalError):
    """Waiting for messages failed again and again; the message says how."""


def _silent(_why: str) -> None:
    """Nobody is told."""


class RetriedWait:
    """A wait that is tried again where it fails. `tell` is given a line at the first failure, at most each `TELL_S`."""

    def __init__(self, tell: Callable[[str], None] = _silent) -> None:
        self._tell = tell
        self._since_s: float | None = None
        self._told_s: float | None = None

    def heard(self, wait: Callable[[], Heard], *, or_else: Heard) -> Heard:
        """Wait once; returns what `wait` does, or `or_else` after a short rest where it failed.

        Raises WaitFailed once waits failed for `PATIENCE_S` in a row, and what `wait` raised where no wait can mend it.
        """
        try:
            found = wait()
        except (zmq.ZMQError, OSError) as exc:
            if exc.errno in _DEFECTS:
                raise
            self._failed(exc, time.monotonic())
            time.sleep(REST_S)
            return or_else
        self._since_s = None
        return found

    def _failed(self, why: Exception, now_s: float) -> None:
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s >= PATIENCE_S:
            raise WaitFailed(f"waiting for messages failed for {PATIENCE_S:g} s: {why}; start it again") from why
        if self._told_s is None or now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            self._tell(f"waiting for messages failed: {why}; tried again")


class Speakers:
    """Sockets and descriptors whose input ends a wait."""

    def __init__(self, *speakers: Any, tell: Callable[[str], None] = _silent) -> None:
        self._poller, self._retried = zmq.Poller(), RetriedWait(tell)
        for one in speakers:
            self.add(one)

    def add(self, speaker: Any) -> None:
        """From here on its input ends a wait, too."""
        self._poller.register(speaker, zmq.POLLIN)

    def drop(self, speaker: Any) -> None:
        """From here on its input ends no wait any more."""
        self._poller.unregister(speaker)

    def heard(self, wait_ms: int) -> set[Any]:
        """Which of them have something to read, after `wait_ms` at most. Raises as `RetriedWait.heard` does."""
        return self._retried.heard(lambda: {speaker for speaker, _ in self._poller.poll(wait_ms)}, or_else=set())
