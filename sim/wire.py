"""The message format of the air's processes: a JSON header and at most one binary frame, over ZeroMQ ipc://."""

import json
import threading
import time
from pathlib import Path
from typing import Any, TypeAlias

import zmq

from radio.errors import Disconnected, HardwareError

Header: TypeAlias = dict[str, Any]
IPC_PATH_MAX = 100
"""A Unix socket's path has 107 bytes; the longest suffix here takes 5 of them."""
TIMEOUT_MS = 2000


class AirRefused(Exception):
    """The air refused a request; `code` is the reason as one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def ipc_path(endpoint: str) -> Path:
    """Return the socket's path; raises ValueError where the endpoint is no usable ipc:// address."""
    if not endpoint.startswith("ipc:///"):
        raise ValueError(f"{endpoint}: not an ipc:///absolute/path endpoint; give one")
    path = endpoint.removeprefix("ipc://")
    if len(path.encode()) > IPC_PATH_MAX:
        raise ValueError(f"{endpoint}: path longer than {IPC_PATH_MAX} bytes; choose a shorter folder")
    return Path(path)


def mute_endpoint(endpoint: str) -> str:
    """The endpoint of mute requests, separate from everything that can queue."""
    return f"{endpoint}.m"


def worker_endpoint(endpoint: str, number: int) -> str:
    """The endpoint at which one of the workers meets the control process."""
    return f"{endpoint}.w{number}"


def pack(header: Header) -> bytes:
    """Encode a header."""
    return json.dumps(header, separators=(",", ":")).encode()


def unpack(data: bytes) -> Header:
    """Decode a header; raises ValueError if it is not a JSON object."""
    header = json.loads(data)
    if not isinstance(header, dict):
        raise ValueError("header is not an object")  # noqa: TRY004 (bad bytes, not a bad argument)
    return header


class AirRequests:
    """Requests to the air, one at a time, each with a timeout; safe to share between threads.

    A request that got no answer closes the socket, so that no late answer is taken for another's, and carries its
    deadline, so that the air itself refuses it when it comes too late. Requests that are
    not delivered yet are still sent for up to `linger_ms` milliseconds after their socket is closed.
    """

    def __init__(self, endpoint: str, *, context: "zmq.Context[zmq.Socket[bytes]]", linger_ms: int = 0) -> None:
        self._endpoint = endpoint
        self._context = context
        self._linger_ms = linger_ms
        self._lock = threading.Lock()
        self._socket: zmq.Socket[bytes] | None = None
        self._number = 0

    def request(
        self, header: Header, payload: bytes | None = None, *, timeout_ms: int = TIMEOUT_MS
    ) -> tuple[Header, memoryview | None]:
        """Send a request and wait for the response.

        Raises:
            AirRefused: the air answered with a refusal.
            Disconnected: no answer in time; whether it was carried out is unknown.
            HardwareError: the socket failed.
        """
        with self._lock:
            deadline_ns = time.monotonic_ns() + timeout_ms * 1_000_000
            self._number += 1
            try:
                answer, data = self._exchange({**header, "id": self._number, "deadline_ns": deadline_ns}, payload)
            except zmq.Again as exc:
                self._drop()
                raise Disconnected(f"{self._endpoint}: no answer in {timeout_ms} ms; is the air running?") from exc
            except (zmq.ZMQError, ValueError) as exc:
                self._drop()
                raise HardwareError(f"{self._endpoint}: {exc}; start the air again") from exc
        if "error" in answer:
            raise AirRefused(str(answer["error"]), str(answer.get("message", "")))
        return answer, data

    def _exchange(self, header: Header, payload: bytes | None) -> tuple[Header, memoryview | None]:
        socket = self._connected()
        deadline_ns = header["deadline_ns"]
        socket.setsockopt(zmq.SNDTIMEO, _left_ms(deadline_ns))
        socket.send_multipart([pack(header)] if payload is None else [pack(header), payload], copy=payload is None)
        while True:
            if not socket.poll(_left_ms(deadline_ns)):
                raise zmq.Again
            frames = socket.recv_multipart(copy=False)
            answer = unpack(frames[0].bytes)
            if answer.get("id") == header["id"]:
                return answer, frames[1].buffer if len(frames) > 1 else None

    def _connected(self) -> "zmq.Socket[bytes]":
        if self._socket is None:
            socket = self._context.socket(zmq.DEALER)
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.IMMEDIATE, 1)
            socket.connect(self._endpoint)
            self._socket = socket
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close(linger=self._linger_ms)
            self._socket = None

    def close(self) -> None:
        """Close the socket."""
        with self._lock:
            self._drop()


def _left_ms(deadline_ns: int) -> int:
    return max(0, (deadline_ns - time.monotonic_ns()) // 1_000_000)
