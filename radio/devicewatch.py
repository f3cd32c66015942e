"""A thread that asks a device at intervals whether its transmitter still has the settings that its driver made.

What it finds it only remembers: the warden's loop takes it, mutes and latches. A device that does not answer holds up
this thread and nothing else.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from radio.errors import RadioError
from radio.ports import Drift, Questioned
from radio.wakeup import unheard

EVERY_S: Final = 0.05


class DeviceWatch:
    """The thread that asks one device: keeps the first difference not yet taken, and why the last question failed."""

    def __init__(self, device: Questioned, *, every_s: float = EVERY_S, rouse: Callable[[], None] = unheard) -> None:
        """Set up without starting. Args: rouse is called when there is a difference or failure to take."""
        self._device, self._every_s, self._rouse = device, every_s, rouse
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._found: Drift | None = None
        self._failure, self._failed_ns = "", 0
        self._answered_ns = 0
        self._thread = threading.Thread(target=self._run, name="device-watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; returns when it has ended or does not within two seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)

    def take(self) -> Drift | None:
        """The first difference found since the last call; None when all settings read back as made."""
        with self._lock:
            found, self._found = self._found, None
            return found

    def waits(self, at_ns: int) -> bool:
        """Whether a difference waits to be taken, or the last question failed, at or after `at_ns` (monotonic)."""
        with self._lock:
            return self._found is not None or bool(self._failure and self._failed_ns >= at_ns)

    def failure_since(self, at_ns: int) -> str:
        """Why the device could not be asked at or after `at_ns` (monotonic) and still cannot; "" if it could."""
        with self._lock:
            return self._failure if self._failed_ns >= at_ns else ""

    def answered_since(self, at_ns: int) -> bool:
        """Whether the last question was answered and had been asked at or after `at_ns` (monotonic)."""
        with self._lock:
            return not self._failure and self._answered_ns >= at_ns

    def ask(self) -> None:
        """Ask the device once."""
        asked_ns = time.monotonic_ns()
        try:
            found = self._device.drift()
        except Exception as exc:  # noqa: BLE001 - a device that is not asked any more is one that nobody watches
            why = str(exc) if isinstance(exc, RadioError) else f"{type(exc).__name__}: {exc}"
            with self._lock:
                self._failure, self._failed_ns = why, time.monotonic_ns()
            self._rouse()
            return
        with self._lock:
            self._failure, self._answered_ns = "", asked_ns
            self._found = self._found if found is None or self._found is not None else found
        if found is not None:
            self._rouse()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.ask()
            self._stop.wait(self._every_s)
