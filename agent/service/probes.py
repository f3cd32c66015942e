"""Health checks over HTTP beside the agent, and systemd's watchdog, fed only while the gate loop is on time."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn

from agent.page.connections import BOUNDED
from agent.service.health import app_of
from hw_profiles.printable import printable

HOST = "127.0.0.1"
FEED_S = 0.5
CLOSE_S = 2.0
FIRST_S = 0.05
"""Interval in seconds of checks for the loop's first turn: units that start after this node wait for it."""
START_S = 10.0


class PortTaken(Exception):
    """The health server cannot listen on its port; the message is one line with the remedy."""


class Health:
    """A thread with the health web server on loopback."""

    def __init__(self, read: Callable[[], dict[str, Any] | None], port: int) -> None:
        self._port = port
        settings = uvicorn.Config(
            app_of(read), host=HOST, port=port, log_config=None, access_log=False, ws="none", **BOUNDED
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def _run(self) -> None:
        try:
            self._server.run()
        except SystemExit:  # raised by uvicorn when it cannot listen
            return

    def start(self) -> None:
        """Start the thread, and wait until the server listens. Raises PortTaken."""
        self._thread.start()
        end = time.monotonic() + START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < end:
            self._thread.join(0.02)
        if not self._server.started:
            raise PortTaken(
                f"{HOST}:{self._port} cannot be listened on; free it, or give another --health-port (0: none)"
            )

    def close(self) -> None:
        """Stop the server."""
        self._server.should_exit = True
        self._thread.join(5.0)


class Watchdog:
    """Reports READY to systemd once the agent's loop turns, then feeds its watchdog while `late` returns None.

    Args: late: returns why agent or gate loop is late, or None. state: returns one line on what the node does.
    Without systemd (no NOTIFY_SOCKET) it does nothing.
    """

    def __init__(self, late: Callable[[], str | None], state: Callable[[], str]) -> None:
        from systemd_watchdog.systemd_watchdog import WatchDog

        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify, self._late, self._state = WatchDog(sock=self._socket), late, state
        self._told = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        if self._notify.is_enabled:
            self._thread.start()

    def close(self) -> None:
        """Stop feeding; systemd kills the process if its end takes too long."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        self._socket.close()

    def _run(self) -> None:
        while not self._stop.wait(FEED_S if self._told else FIRST_S):
            with contextlib.suppress(OSError):  # systemd takes nothing now: fed again in time, or it ends the node
                self.feed()

    def feed(self) -> None:
        """Report the state line, and READY once, and feed the watchdog; while something is late, only report why."""
        late = self._late()
        if late is not None:
            self._notify.status(printable(late))
            return
        if not self._told:
            self._notify.ready()
            self._told = True
        self._notify.status(printable(self._state()))
        self._notify.notify()
