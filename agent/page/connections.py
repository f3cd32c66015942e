"""The page's connections: bounded in number and in how long they may ask nothing, so that nobody keeps others out.

Whoever reaches the port needs no token to open connections. One that has not asked within ASKING_S is closed; where all
places are taken, a new connection takes the place of another: first of one that asks nothing, then of one whose answer
is not fetched, then of the one that was there longest. A change (the stop) keeps its place until it is answered.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS: Final = 96
LEAVE: Final = "leave"
"""In the state of a request: what ends its connection at once."""
ASKING_S: Final = 5.0
"""How long a connection may take to ask, from its opening and from each answer."""


def leaving(places: "list[tuple[bool, bool, bool]]") -> int | None:
    """Which of some connections gives its place up, as its index; the oldest first in the list, None for none.

    Each is told as (asks something that is not answered yet, does not fetch its answer, changes something).
    """
    ranked = [
        (1 + (not stalled) if asks else 0, number)
        for number, (asks, stalled, changes) in enumerate(places)
        if not (asks and changes)
    ]
    return min(ranked)[1] if ranked else None


class BoundedConnection(H11Protocol):
    """One connection of the page, as uvicorn serves it, under the bounds above."""

    _deadline: "asyncio.TimerHandle | None" = None
    given_up = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection; makes room for itself."""
        held = [one for one in self._of_the_page() if not one.given_up]
        if len(self.connections) >= CONNECTIONS:
            found = leaving([one.place() for one in held])
            if found is not None:
                held[found].give_up()
        super().connection_made(transport)
        # The application ends a connection by what it finds here; a WebSocket takes it over from its request.
        self.app_state = {**self.app_state, LEAVE: self.give_up}
        self._of_the_page().append(self)
        self._waits()

    def data_received(self, data: bytes) -> None:
        """Bytes came; only a whole request stops the time that runs."""
        super().data_received(data)
        if self._asks():
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """From here on it is a WebSocket's, which the application counts."""
        self._gone()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Answered: the time to ask again runs."""
        super().on_response_complete()
        self._waits()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._gone()
        super().connection_lost(exc)

    # -- its place ---------------------------------------------------------------------------------------------------

    def _of_the_page(self) -> "list[BoundedConnection]":
        """All of them that are served here, the oldest first."""
        state: dict[str, Any] = vars(self.server_state)
        held: list[BoundedConnection] = state.setdefault("bounded", [])
        return held

    def _asks(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def place(self) -> tuple[bool, bool, bool]:
        """What `leaving` is told of it."""
        asks = self._asks()
        return asks, bool(self.flow.write_paused), asks and self.scope["method"] == "POST"

    def _waits(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(ASKING_S, self.give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def give_up(self) -> None:
        """Close it at once; its answer goes nowhere."""
        self.given_up = True
        self.transport.abort()

    def _gone(self) -> None:
        self._stop_waiting()
        if self in self._of_the_page():
            self._of_the_page().remove(self)


BOUNDED: Final[dict[str, Any]] = {
    "http": BoundedConnection,
    "loop": "asyncio",
    "timeout_keep_alive": 5,
    "backlog": 64,
    "h11_max_incomplete_event_size": 16 << 10,
    "proxy_headers": False,
    "server_header": False,
    "date_header": False,
}
"""How every server of HTTP here is set up: whoever only connects uses up nothing of its process."""
