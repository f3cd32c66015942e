"""Bounds the page's connections in number and in idle time, so that no client can keep others out.

A client needs no token to open connections. One that sends no whole request within ASKING_S is closed; when all
places are taken, a new connection replaces another: first one without a request, then one whose answer is not
fetched, then the oldest. A request that changes something (the stop) keeps its place until it is answered.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS: Final = 96
LEAVE: Final = "leave"
"""Key in a request's state of the function that closes its connection at once."""
ASKING_S: Final = 5.0
"""Seconds that a connection may take to send a request, from its opening and from each answer."""


def leaving(places: "list[tuple[bool, bool, bool]]") -> int | None:
    """Return the index of the connection that must give up its place, None for none; the list is oldest first.

    Each is given as (has an unanswered request, does not fetch its answer, changes something).
    """
    ranked = [
        (1 + (not stalled) if asks else 0, number)
        for number, (asks, stalled, changes) in enumerate(places)
        if not (asks and changes)
    ]
    return min(ranked)[1] if ranked else None


class BoundedConnection(H11Protocol):
    """One connection of the page as uvicorn serves it, under the bounds above."""

    _deadline: "asyncio.TimerHandle | None" = None
    given_up = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count a new connection, and close another where all places are taken."""
        held = [one for one in self._of_the_page() if not one.given_up]
        if len(self.connections) >= CONNECTIONS:
            found = leaving([one.place() for one in held])
            if found is not None:
                held[found].give_up()
        super().connection_made(transport)
        # The application closes a connection through this function; a WebSocket takes it over from its request.
        self.app_state = {**self.app_state, LEAVE: self.give_up}
        self._of_the_page().append(self)
        self._waits()

    def data_received(self, data: bytes) -> None:
        """Handle received bytes; only a whole request stops the timeout."""
        super().data_received(data)
        if self._asks():
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand the connection over to a WebSocket, which the application counts."""
        self._gone()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Restart the timeout once a request is answered."""
        super().on_response_complete()
        self._waits()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a closed connection from the count."""
        self._gone()
        super().connection_lost(exc)

    # -- its place ---------------------------------------------------------------------------------------------------

    def _of_the_page(self) -> "list[BoundedConnection]":
        """Return all connections of this server, the oldest first."""
        state: dict[str, Any] = vars(self.server_state)
        held: list[BoundedConnection] = state.setdefault("bounded", [])
        return held

    def _asks(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def place(self) -> tuple[bool, bool, bool]:
        """This connection as `leaving` takes it."""
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
        """Close the connection at once, without the rest of its answer."""
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
"""Settings of every HTTP server of this program, so that clients that only connect cannot use up its resources."""
