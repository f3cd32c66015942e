"""Health over HTTP beside the agent, and systemd's watchdog, fed only while the loops are on time."""

import threading
from pathlib import Path

import uvicorn

from agent.service.health import app_of
from agent.service.snapshot import problems, read_status

HOST = "127.0.0.1"
FEED_S = 0.5


class Health:
    """A thread with a web server on loopback."""

    def __init__(self, run_folder: Path, port: int) -> None:
        settings = uvicorn.Config(
            app_of(lambda: read_status(run_folder)), host=HOST, port=port, log_level="warning", access_log=False
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, name="health", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._server.should_exit = True
        self._thread.join(5.0)


class Watchdog:
    """Tells systemd READY once the node has said how it is, then feeds it as long as agent and warden are on time.

    Without systemd (no NOTIFY_SOCKET) it does nothing.
    """

    def __init__(self, run_folder: Path, stop: threading.Event) -> None:
        from systemd_watchdog.systemd_watchdog import WatchDog  # noqa: PLC0415 - only a service needs it

        self._notify, self._folder, self._stop = WatchDog(), run_folder, stop
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._notify.is_enabled:
            self._thread.start()

    def _run(self) -> None:
        told = False
        while not self._stop.wait(FEED_S):
            status = read_status(self._folder)
            wrong = problems(status)
            if status is None or "agent" in wrong or "radio" in wrong:
                continue
            if not told:
                self._notify.ready()
                told = True
            self._notify.status(f"gate {status['gate']['state']} {status['gate']['reason']}".strip())
            self._notify.notify()
