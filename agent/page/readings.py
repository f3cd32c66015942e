"""Windows of the history as a page reads them: each once for all who ask for it, and only so many at a time."""

import asyncio
from typing import Final

from agent.history.rows import Row
from agent.history.store import Store

CHANNEL_ROWS_MAX: Final = 400_000
"""Channels of all stretches that are read for one answer: seconds of work."""
READINGS_MAX: Final = 16
READING_S: Final = 2.0
"""How long what was read of the history is handed to others who ask for the same."""


class TooMuchIsRead(Exception):
    """As many windows as may be are being read."""


class Readings:
    """What is being read, and what was read a moment ago."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, int, int], asyncio.Future[list[Row]]] = {}

    async def rows(self, name: str, store: Store, step: str, from_ns: int, to_ns: int) -> list[Row]:
        """Rows of a window of a node's history; who asks for the same at nearly the same time waits for one reading.

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
        """The oldest goes that is over: whoever scrolls asks for one window after the other."""
        if len(self._held) < READINGS_MAX:
            return
        over = next((key for key, one in self._held.items() if one.done()), None)
        if over is None:
            raise TooMuchIsRead
        del self._held[over]

    def _forget(self, key: tuple[str, str, int, int], reading: "asyncio.Future[list[Row]]") -> None:
        if self._held.get(key) is reading:
            del self._held[key]
