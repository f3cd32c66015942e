"""The coordinator's client of the nodes' doors: one request at a time to each, within a time limit."""

import json
import time
from math import isfinite
from types import TracebackType
from typing import Any, Final, Self

import zmq
from zmq.utils import z85

from agent.kit.archive import LOGS_MAX
from settlement.mesh import TransportKey
from settlement.mesh.limits import Limits
from settlement.mesh.valve import Valve

ANSWER_S: Final = 5.0
COPY_S: Final = 60.0
"""Seconds that a node may take to copy and seal its log."""
BYTES_MAX: Final = 4 << 20
UNREAD_MAX: Final = 2 * BYTES_MAX
"""Most bytes of an incomplete answer: libzmq bounds the size of its parts, not their number."""
LOOK_MS: Final = 20
CHUNK_BYTES: Final = 1 << 20
"""Bytes of a log per request, all but the last."""
SLOWEST_BYTES_S: Final = 1 << 18
"""Slowest accepted rate in bytes per second: a slower node would delay the nodes asked after it."""


def _no_number(word: str) -> float:
    """Refuse JSON's NaN and Infinity. Raises ValueError."""
    raise ValueError(f"{word} is no number")


def _finite(word: str) -> float:
    """Parse a finite number: `1e400` would be passed on as Infinity. Raises ValueError."""
    value = float(word)
    if not isfinite(value):
        raise ValueError(f"{word} is too large")
    return value


class Unreachable(Exception):
    """A node does not answer, or not correctly; the message is one line with the remedy."""


class Asking:
    """A connection to one node's door, closed at the end of its context."""

    def __init__(self, endpoint: str, node: bytes, coordinator: TransportKey) -> None:
        """Connect. Raises Unreachable where this process may open no socket."""
        self._endpoint = endpoint
        try:
            self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
            self._socket = self._context.socket(zmq.REQ)
        except zmq.ZMQError as exc:
            raise Unreachable(f"{endpoint}: {exc}; close something, or allow more (ulimit -n)") from exc
        self._socket.linger = 0
        self._socket.setsockopt(zmq.MAXMSGSIZE, BYTES_MAX)
        self._socket.curve_serverkey = z85.encode(node)
        self._socket.curve_publickey = z85.encode(coordinator.public)
        self._socket.curve_secretkey = z85.encode(coordinator.secret)
        self._valve = Valve(self._socket, Limits(unread_bytes=UNREAD_MAX, unread_bytes_total=UNREAD_MAX))
        self._socket.connect(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._valve.close()
        self._context.destroy(linger=0)

    def _answered(self, wait_s: float) -> bool:
        """Return whether an answer arrived in time; a node that sends more than any answer has is cut off."""
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            if self._socket.poll(max(1, min(LOOK_MS, round(left_s * 1000)))):
                return True
            self._valve.watch(time.monotonic_ns())
            if self._valve.cut:
                raise Unreachable(f"{self._endpoint}: an answer of more than {UNREAD_MAX} bytes")
        return False

    def _asked(self, wait_s: float = ANSWER_S, **fields: Any) -> tuple[dict[str, Any], bytes]:
        self._socket.send(json.dumps(fields).encode())
        if not self._answered(wait_s):
            raise Unreachable(
                f"{self._endpoint} does not answer; is the node running, and its door reachable from here?"
            )
        head, *rest = self._socket.recv_multipart()
        self._valve.drained(time.monotonic_ns())
        try:
            answer = json.loads(head, parse_constant=_no_number, parse_float=_finite)
        except (ValueError, RecursionError) as exc:
            raise Unreachable(f"{self._endpoint}: an answer that does not read") from exc
        if not isinstance(answer, dict):
            raise Unreachable(f"{self._endpoint}: an answer that does not read")
        return answer, rest[0] if rest else b""

    def status(self, wait_s: float = ANSWER_S) -> dict[str, Any]:
        """Return the node's status, and how long the answer took. Raises Unreachable."""
        began_s = time.monotonic()
        answer, _ = self._asked(wait_s, do="status")
        return {**answer, "took_ms": round(1000 * (time.monotonic() - began_s), 1)}

    def tell(self, record: bytes) -> str | None:
        """Hand in an authority's record; returns why it was not taken, None where it was. Raises Unreachable."""
        answer, _ = self._asked(2 * ANSWER_S, do="tell", record=record.hex())
        return None if answer.get("ok") else str(answer.get("why") or "not taken")

    def logs(self) -> bytes:
        """Return a sealed archive of the node's logs. Raises Unreachable."""
        answer, _ = self._asked(COPY_S, do="logs")
        size = answer.get("size")
        if not answer.get("ok") or not isinstance(size, int) or not 0 < size <= LOGS_MAX:
            raise Unreachable(f"{self._endpoint}: {answer.get('why') or 'no copy of its log'}")
        data, ends_s = bytearray(), time.monotonic() + COPY_S + size / SLOWEST_BYTES_S
        while len(data) < size:
            _, chunk = self._asked(ANSWER_S, do="more", offset=len(data))
            if len(chunk) != min(CHUNK_BYTES, size - len(data)):
                raise Unreachable(f"{self._endpoint}: its log ended after {len(data)} of {size} bytes; ask again")
            data += chunk
            if time.monotonic() > ends_s:
                raise Unreachable(f"{self._endpoint}: {len(data)} of {size} bytes came in time; fetch it by hand")
        return bytes(data)
