"""A client of a running simulated air: is it ready, what its radios do, and the oracle's log."""

import time
import weakref
from typing import Any

import zmq

from radio.errors import Disconnected, HardwareError
from sim.wire import AirRefused, AirRequests

PING_MS = 200


class AirClient:
    """A connection to the air; use one for each process or thread."""

    def __init__(self, endpoint: str) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._free = weakref.finalize(self, context.destroy, linger=0)
        self._channel = AirRequests(endpoint, context=context)

    def wait_ready(self, *, timeout_s: float) -> None:
        """Wait until the air and its workers answer; raises Disconnected if they do not in time."""
        deadline = time.monotonic() + timeout_s
        pause_ms = 5
        while time.monotonic() < deadline:
            try:
                answer, _ = self._channel.request({"op": "ping"}, timeout_ms=PING_MS)
            except (HardwareError, AirRefused):
                continue
            if answer["ready"]:
                return
            zmq.Poller().poll(pause_ms)
        raise Disconnected(f"the air is not ready after {timeout_s:g} s; see its own message")

    def state(self) -> dict[str, Any]:
        """Return `now_ns` and, by radio: `rf`, `tx`, `rx`, `busy_until_ns`; raises HardwareError."""
        answer, _ = self._channel.request({"op": "state"})
        return {"now_ns": answer["now_ns"], "radios": answer["radios"]}

    def dump(self, *, timeout_ms: int = 30_000) -> None:
        """Have the oracle's log written now, with all that has ended; raises HardwareError."""
        try:
            self._channel.request({"op": "dump"}, timeout_ms=timeout_ms)
        except AirRefused as exc:
            raise HardwareError(str(exc)) from exc

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()
        self._free()
