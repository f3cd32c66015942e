"""How long this host makes a process wait that comes before all others: what silences a radio waits as long.

A processor quota, an overcommitted virtual machine or a laptop that saves power stops every process at once, whatever
its priority, and only a watch in real time shows it. Seconds of watching that find nothing prove little.
"""

import threading
import time
from types import TracebackType
from typing import Final, Self

from radio.priority import before_others

EVERY_S: Final = 0.002


class PauseWatch:
    """Sleeps and wakes in a thread before others while it is entered; `worst_ns` is the latest that it woke."""

    def __init__(self) -> None:
        self.worst_ns, self.watched_ns = 0, 0
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
        began_ns = last_ns = time.monotonic_ns()
        while not self._over.is_set():
            time.sleep(EVERY_S)
            now_ns = time.monotonic_ns()
            self.worst_ns = max(self.worst_ns, now_ns - last_ns - round(EVERY_S * 1e9))
            self.watched_ns, last_ns = now_ns - began_ns, now_ns
