"""The program's sockets, in the protocols of srsRAN's virtual radio and GNU Radio's zeromq blocks (complex float32).

Sending: the program binds REP and answers each request with a run of samples (GNU Radio's REP sink gives at most as
many as the request's 32-bit number says, srsRAN's radio reads one byte and gives what it has), or binds PUSH and gives
unasked. Receiving: the node binds REP or PUSH. Both ends of a request are asynchronous here (DEALER for REQ, ROUTER
for REP), so that a program which dies between request and answer leaves nothing waiting.
"""

import json
import os
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import zmq

from agent.samples.counts import Counts
from agent.samples.levels import decoded
from radio.signals.shapes import Cplx

NS: Final = 1_000_000_000
AGAIN_NS: Final = NS
"""Time in ns after which an unanswered request counts as lost with the program it was sent to."""
REQUESTS_MAX = 3
"""Most open requests: a program's answers are short, and waiting for each one would be slow."""
RENEW_NS: Final = 3 * NS
MESSAGES_MAX = 8
"""Most messages read from one socket in one turn."""
MESSAGE_BYTES_MAX = 32 << 20
"""Largest message in bytes; a longer one ends its sender's connection, which is renewed after `RENEW_NS`."""
REQUEST_BYTES = 4
CHUNK_S = 0.02
ANY = 1 << 20


def _prepared(context: "zmq.Context[zmq.Socket[bytes]]", kind: int) -> "zmq.Socket[bytes]":
    socket = context.socket(kind)
    socket.linger = 0
    socket.setsockopt(zmq.RCVHWM, MESSAGES_MAX)
    socket.setsockopt(zmq.SNDHWM, MESSAGES_MAX)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    return socket


class FromProgram:
    """The socket on which the program's samples arrive."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, *, asks: bool, counts: Counts) -> None:
        self._asks, self._counts = asks, counts
        self.socket = _prepared(context, zmq.DEALER if asks else zmq.PULL)
        if asks:  # a request must reach a program connected now, not one that connects later
            self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self._endpoint = endpoint
        self.socket.connect(endpoint)
        self._quiet_ns: int | None = None
        self._asked: deque[int] = deque()
        """Send times of the open requests (monotonic ns)."""

    def ask(self, samples: int, now_ns: int) -> None:
        """Request `samples` samples, unless REQUESTS_MAX requests are open."""
        self._stay_connected(now_ns)
        while self._asked and now_ns - self._asked[0] >= AGAIN_NS:
            self._asked.popleft()
        if not self._asks or samples <= 0 or len(self._asked) >= REQUESTS_MAX:
            return
        with suppress(zmq.Again):
            self.socket.send_multipart([b"", struct.pack("=I", min(samples, ANY))], zmq.NOBLOCK)
            self._asked.append(now_ns)

    def _stay_connected(self, now_ns: int) -> None:
        """Reconnect where nothing arrived for long: ZeroMQ abandons an address after an oversized message."""
        if self._quiet_ns is None:
            self._quiet_ns = now_ns
        if now_ns - self._quiet_ns < RENEW_NS:
            return
        self._quiet_ns = now_ns
        self._asked.clear()
        with suppress(zmq.ZMQError):
            self.socket.disconnect(self._endpoint)
        self.socket.connect(self._endpoint)

    def take(self) -> list[Cplx]:
        """Return what has arrived, a bounded number of messages, without blocking."""
        found: list[Cplx] = []
        for _ in range(MESSAGES_MAX):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            self._quiet_ns = None
            if self._asked:
                self._asked.popleft()
            body = frames[1:] if self._asks and len(frames[0]) == 0 else frames
            if len(body) != 1:
                self._counts.malformed += 1
                continue
            samples = decoded(body[0].buffer, self._counts)
            if samples is not None:
                found.append(samples)
        return found

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class ToProgram:
    """The socket on which the program gets what is received."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, *, answers: bool, rate_hz: int, mode: int
    ) -> None:
        self._answers, self._chunk = answers, max(1, round(rate_hz * CHUNK_S))
        self.socket = _bound(context, zmq.ROUTER if answers else zmq.PUSH, endpoint, mode)
        self._waiting: dict[bytes, int] = {}
        """Peers that wait for an answer, each with the most samples it takes."""

    def hear(self) -> bool:
        """Receive requests; returns whether there were any. A peer that asks twice is answered once."""
        heard = False
        for _ in range(MESSAGES_MAX if self._answers else 0):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if len(frames) == 3 and frames[1] == b"":
                heard = True
                self._waiting.pop(frames[0], None)
                self._waiting[frames[0]] = _asked(frames[2], self._chunk)
                while len(self._waiting) > MESSAGES_MAX:
                    del self._waiting[next(iter(self._waiting))]
        return heard

    def wanted(self) -> int:
        """Return how many samples can be delivered now at most; 0 where no program waits for any."""
        if not self._answers:
            return self._chunk
        return next(iter(self._waiting.values()), 0)

    def give(self, samples: Cplx) -> bool:
        """Deliver samples; returns False where no program takes them. Never blocks."""
        data = samples.tobytes()
        try:
            if not self._answers:
                self.socket.send(data, zmq.NOBLOCK)
                return True
            who = next(iter(self._waiting))
            del self._waiting[who]
            self.socket.send_multipart([who, b"", data], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class StatusSocket:
    """A socket where programs on this host query the door's state: any request is answered with a JSON object (REP)."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, *, mode: int) -> None:
        self.socket = _bound(context, zmq.ROUTER, endpoint, mode)

    def serve(self, state: Callable[[], dict[str, object]]) -> None:
        """Answer the requests, a bounded number of them, without blocking."""
        answer: bytes | None = None
        for _ in range(MESSAGES_MAX):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            answer = answer or json.dumps(state()).encode("utf-8")
            with suppress(zmq.Again):
                self.socket.send_multipart([*frames[:2], answer] if len(frames) > 2 else [frames[0], answer])

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def _bound(context: "zmq.Context[zmq.Socket[bytes]]", kind: int, endpoint: str, mode: int) -> "zmq.Socket[bytes]":
    """Open a listening socket; a Unix socket admits only users that `mode` allows. Raises ZMQError, OSError."""
    socket = _prepared(context, kind)
    before = os.umask(0o777 & ~mode)  # set before binding: a peer connecting just before a chmod would stay connected
    try:
        socket.bind(endpoint)
        if endpoint.startswith("ipc://"):
            Path(endpoint.removeprefix("ipc://")).chmod(mode)
    except (zmq.ZMQError, OSError):
        socket.close()
        raise
    finally:
        os.umask(before)
    return socket


def _asked(request: bytes, chunk: int) -> int:
    """Return how many samples a request is for: GNU Radio sends a number, srsRAN one byte for as many as there are."""
    if len(request) != REQUEST_BYTES:
        return chunk
    number: int = struct.unpack("=I", request)[0]
    return min(number, chunk) if number else chunk
