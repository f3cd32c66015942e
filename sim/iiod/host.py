"""Runs a simulated Pluto's server in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from sim.iiod.faults import Fault
from sim.iiod.server import LOOPBACK, IiodServer

START_S = 5.0
_T = TypeVar("_T")


class Hosted:
    """A running server; calls to it are executed in its thread."""

    def __init__(self, server: IiodServer, port: int = 0) -> None:
        """Bind and start serving; raises OSError where the port is taken."""
        self._server = server
        self.port = server.listen(port)
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="iiod", daemon=True)
        self._thread.start()
        self._started.wait(START_S)

    @property
    def uri(self) -> str:
        """The server's libiio URI."""
        return f"ip:{LOOPBACK}:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._server.serve())
        self._loop.call_soon(self._started.set)
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            rest = asyncio.all_tasks(self._loop)
            for task in rest:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def ask(self, what: Callable[[IiodServer], _T]) -> _T:
        """Execute a function on the server, in its thread, and return the result."""

        async def done() -> _T:
            return what(self._server)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(START_S)

    def fault(self, fault: Fault) -> None:
        """Add a fault."""
        self.ask(lambda server: server.script.add(fault))

    def stop(self) -> None:
        """Stop the server; every connection is closed."""
        if self._task is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(START_S)
