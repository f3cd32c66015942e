"""The operator's socket to the warden, in the node's run folder; it accepts only the node's own user and root.

It has mode 0600, and whoever connects is known by the kernel (SO_PEERCRED, unix(7)): the user the warden runs as, or
root. A request is one JSON object, the answer another; the warden looks in once a turn and never waits.
"""

import contextlib
import json
import os
import select
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hw_profiles.leftover import clear_away

ARM_MAX_S = 86_400
REQUEST_BYTES = 1024
WAITING_MAX = 4
TURNS_MAX = 2000
_CREDENTIALS = struct.Struct("3i")

Answer = dict[str, Any]


class OperatorError(Exception):
    """The warden cannot be reached or refused; one line with the mend."""


@dataclass(slots=True)
class _Waiting:
    """A connection whose request has not arrived yet."""

    connection: socket.socket
    turns: int = field(default=0)


class OperatorDoor:
    """The warden's end of the operator's socket."""

    def __init__(self, path: Path, handle: Callable[[Answer], Answer]) -> None:
        """Open the socket at `path`; `handle` carries a request out and returns its answer at once."""
        self._path, self._handle = path, handle
        self._waiting: list[_Waiting] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.listen(WAITING_MAX)
        self._knocked = select.poll()
        self._knocked.register(self._socket, select.POLLIN)

    def knocks(self) -> list[int]:
        """File descriptors that become readable on a connection or a request, for the warden's poll."""
        return [self._socket.fileno(), *(one.connection.fileno() for one in self._waiting)]

    def serve(self) -> None:
        """Accept connections and answer requests that have arrived; never waits, drops those without a request."""
        if self._knocked.poll(0):
            self._let_in()
        if self._waiting:
            self._waiting = [one for one in self._waiting if not self._answered(one)]

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):  # the client left, or no file descriptor is free: the gate goes on
            connection, _ = self._socket.accept()
            connection.setblocking(False)
            if len(self._waiting) < WAITING_MAX and may_knock(connection):
                self._waiting.append(_Waiting(connection))
            else:
                connection.close()

    def _answered(self, one: _Waiting) -> bool:
        one.turns += 1
        try:
            data = one.connection.recv(REQUEST_BYTES)
        except BlockingIOError:
            if one.turns < TURNS_MAX:
                return False
            data = b""
        except OSError:
            data = b""
        with contextlib.suppress(OSError):
            if data:
                one.connection.send(json.dumps(self._answer(data)).encode())
            one.connection.close()
        return True

    def _answer(self, data: bytes) -> Answer:
        try:
            request = json.loads(data)
        except (ValueError, RecursionError):
            return {"error": "not JSON"}
        return self._handle(request) if isinstance(request, dict) else {"error": "no object"}

    def close(self) -> None:
        """Close the socket."""
        for one in self._waiting:
            one.connection.close()
        self._socket.close()
        clear_away(self._path)


def may_knock(connection: socket.socket) -> bool:
    """Whether the kernel says that the peer runs as this process's user or as root."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(raw)
    return user in (0, os.geteuid())


def arm_seconds(request: Answer) -> int | None:
    """The arming time in s that a request asks for; None when it is not a whole number from 1 to ARM_MAX_S."""
    for_s = request.get("for_s")
    return for_s if type(for_s) is int and 1 <= for_s <= ARM_MAX_S else None


def ask(path: Path, request: Answer, *, timeout_s: float = 2.0) -> Answer:
    """Send a request to the warden's socket at `path`; returns its answer. Raises OperatorError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.send(json.dumps(request).encode())
            data = connection.recv(REQUEST_BYTES)
    except OSError as exc:
        raise OperatorError(
            f"{path}: no warden answers ({exc.strerror or exc}); start the node with `bandpact run`, as the same user"
        ) from exc
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise OperatorError(
            f"{path}: the warden closed without an answer; ask as the user that the node runs as"
        ) from exc
    if not isinstance(answer, dict) or "error" in answer:
        raise OperatorError(f"{path}: {answer.get('error', answer) if isinstance(answer, dict) else answer}")
    return answer
