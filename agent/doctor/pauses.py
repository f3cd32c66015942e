"""Measures how long this host delays even the highest-priority process, and so a process that must mute a radio.

A processor quota, an overcommitted virtual machine or a laptop that saves power stops all processes at once, whatever
their priority; only watching in real time shows it. A few seconds without a pause prove little.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from radio.priority import before_others

EVERY_S: Final = 0.002


class PauseWatch:
    """Sleeps and wakes in a high-priority thread while the context lasts; `worst_ns` is the largest lateness."""

    def __init__(
        self, *, sleep: Callable[[float], None] = time.sleep, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Args: sleep waits for so many seconds; monotonic_ns is the clock that says how long that took."""
        self.worst_ns, self.watched_ns = 0, 0
        self._sleep, self._monotonic_ns = sleep, monotonic_ns
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pauses", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        before_others()
        began_ns = last_ns = self._monotonic_ns()
        while not self._over.is_set():
            self._sleep(EVERY_S)
            now_ns = self._monotonic_ns()
            self.worst_ns = max(self.worst_ns, now_ns - last_ns - round(EVERY_S * 1e9))
            self.watched_ns, last_ns = now_ns - began_ns, now_ns
