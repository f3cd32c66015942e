"""Starts the page's process beside a node or a trial, and restarts it when it ends by itself."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.page.plan import TOKEN, PagePlan, ServedNode, token_at
from radio.process import child_environment
from radio.restarts import pause_after

USUAL_PORT, PORTS_TRIED = 9181, 20
PLAN, SAID = "page.json", "page.err"
END_S = 5.0


class PageNotServed(Exception):
    """The page cannot listen on its port; the message is one line with the remedy."""


def listening(host: str, port: int | None) -> socket.socket:
    """Open a listening socket: at `port`, or at the first free one from USUAL_PORT. Raises PageNotServed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    tried = range(USUAL_PORT, USUAL_PORT + PORTS_TRIED) if port is None else (port,)
    why = ""
    for one in tried:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, one))
            made.listen(64)
        except OSError as exc:
            made.close()
            why = exc.strerror or str(exc)
            continue
        return made
    where = f"{host}:{tried[0]}" + (f" to {tried[-1]}" if len(tried) > 1 else "")
    raise PageNotServed(f"{where} cannot be listened on ({why}); free it, or give another --page-port (0: none)")


@dataclass(slots=True)
class PageBeside:
    """The page's process. `port`: 0 for no page, None for the usual one or the next free one."""

    nodes: Sequence[ServedNode]
    folder: Path
    host: str = "127.0.0.1"
    port: int | None = None
    history: bool = True
    url: str | None = None
    _socket: socket.socket | None = None
    _process: "subprocess.Popen[bytes] | None" = None
    _ends: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the process. Raises PageNotServed."""
        if self.port == 0 and not self.history:
            return
        token_file = self.folder / TOKEN
        fd, port = None, 0
        if self.port != 0:
            self._socket = listening(self.host, self.port)
            fd, port = self._socket.fileno(), int(self._socket.getsockname()[1])
        plan = PagePlan(
            nodes=tuple(self.nodes), host=self.host, port=port, fd=fd, token_file=token_file, history=self.history
        )
        path = plan.write(self.folder / PLAN)
        if fd is not None:
            self.url = f"{plan.origin}/#token={token_at(token_file)}"
        self._process = self._spawned(path)
        self._thread = threading.Thread(target=self._stand_by, args=(path,), name="page", daemon=True)
        self._thread.start()

    def _spawned(self, plan: Path) -> "subprocess.Popen[bytes]":
        """Start the page's process, without Arrow's allocator, which would keep some 40 MB after each hour's tables."""
        fds = () if self._socket is None else (self._socket.fileno(),)
        with (self.folder / SAID).open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "agent.page.process", str(plan)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=fds,
                start_new_session=True,
                env={**child_environment(), "ARROW_DEFAULT_MEMORY_POOL": "system"},
            )

    def _stand_by(self, plan: Path) -> None:
        pause_s, began_s = 0.0, time.monotonic()
        while not self._ends.wait(0.5):
            if self._process is not None and self._process.poll() is not None:
                pause_s = pause_after(pause_s, time.monotonic() - began_s)
                if self._ends.wait(pause_s):
                    return
                began_s = time.monotonic()
                # No process, descriptor or disk space is left: tried again after the next pause.
                with contextlib.suppress(OSError):
                    self._process = self._spawned(plan)

    def close(self) -> None:
        """End the process; it first writes what it has not yet written."""
        self._ends.set()
        if self._thread is not None:
            self._thread.join(2.0)
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._socket is not None:
            self._socket.close()
