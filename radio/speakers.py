"""Waits for input on several sockets at once, and retries a wait that fails.

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
"""Longest time of waits that all fail, s."""
REST_S: Final = 0.002
"""Pause in s after a wait that failed, so that the loop around it does not use a whole core."""
TELL_S: Final = 60.0
"""Shortest time in s between two reports of failed waits."""
_DEFECTS: Final = frozenset({zmq.ETERM, zmq.ENOTSOCK, errno.EBADF})
"""Error numbers of a closed socket or context: no retry can succeed."""
Heard = TypeVar("Heard")


class WaitFailed(LocalError):
    """Waiting for messages failed again and again; the message says how."""


def _silent(_why: str) -> None:
    """Discard a report of a failed wait."""


class RetriedWait:
    """Retries a wait that fails. `tell` is called with a line of text at the first failure, then once per `TELL_S`."""

    def __init__(self, tell: Callable[[str], None] = _silent) -> None:
        self._tell = tell
        self._since_s: float | None = None
        self._told_s: float | None = None

    def heard(self, wait: Callable[[], Heard], *, or_else: Heard) -> Heard:
        """Wait once; returns the result of `wait`, or `or_else` after a short pause where it failed.

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
    """The sockets and file descriptors whose input ends a wait."""

    def __init__(self, *speakers: Any, tell: Callable[[str], None] = _silent) -> None:
        self._poller, self._retried = zmq.Poller(), RetriedWait(tell)
        for one in speakers:
            self.add(one)

    def add(self, speaker: Any) -> None:
        """Add a socket or file descriptor."""
        self._poller.register(speaker, zmq.POLLIN)

    def drop(self, speaker: Any) -> None:
        """Remove a socket or file descriptor."""
        self._poller.unregister(speaker)

    def heard(self, wait_ms: int) -> set[Any]:
        """Wait up to `wait_ms`; returns those with input to read. Raises as `RetriedWait.heard` does."""
        return self._retried.heard(lambda: {speaker for speaker, _ in self._poller.poll(wait_ms)}, or_else=set())
