"""Reads windows of the history for the page: equal requests share one read, and concurrent reads are bounded."""

import asyncio
from typing import Final

from agent.history.rows import Row
from agent.history.store import Store

CHANNEL_ROWS_MAX: Final = 400_000
"""Most channel rows read for one answer, which takes seconds."""
READINGS_MAX: Final = 16
READING_S: Final = 2.0
"""Seconds for which a read result is reused for equal requests."""


class TooMuchIsRead(Exception):
    """The bound on concurrent reads is reached."""


class Readings:
    """The reads under way, and the recent results."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, int, int], asyncio.Future[list[Row]]] = {}

    async def rows(self, name: str, store: Store, step: str, from_ns: int, to_ns: int) -> list[Row]:
        """Return rows of a window of a node's history; equal requests at nearly the same time share one read.

        Raises: TooMuchIsRead; NoHistory where the window holds more than may be read.
        """
        key = (name, step, from_ns, to_ns)
        reading = self._held.get(key)
        if reading is None:
            self._make_room()
            reading = asyncio.ensure_future(asyncio.to_thread(store.rows, step, from_ns, to_ns, CHANNEL_ROWS_MAX))
            self._held[key] = reading
            asyncio.get_running_loop().call_later(READING_S, self._forget, key, reading)
        return await asyncio.shield(reading)

    def _make_room(self) -> None:
        """Drop the oldest finished result: a client that scrolls requests one window after another."""
        if len(self._held) < READINGS_MAX:
            return
        over = next((key for key, one in self._held.items() if one.done()), None)
        if over is None:
            raise TooMuchIsRead
        del self._held[over]

    def _forget(self, key: tuple[str, str, int, int], reading: "asyncio.Future[list[Row]]") -> None:
        if self._held.get(key) is reading:
            del self._held[key]
