"""The running agent's local control socket: takes commands from the same user and reports each step.

The Unix-domain socket lies in the node's run folder and only its owner can open it; that user could also read
the node's keys. Each message is one JSON object; the last answer to a command has `done`.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

SOCKET = "control"
MESSAGE_BYTES_MAX = 256 * 1024
QUEUE = 64
BATCH = 16
LOOK_MS = 500
"""Interval in ms at which a waiting client checks that its agent still runs."""
BUSY_MS = 30_000
"""Extra time in ms that a client grants a running agent for its first answer."""
OWNER_ONLY = 0o177


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that arrived, and the client to answer."""

    client: bytes
    fields: dict[str, Any]


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


class ControlDoor:
    """The agent's end of the socket. One loop owns it and polls `socket`."""

    def __init__(self, run_folder: Path) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self.socket = self._context.socket(zmq.ROUTER)
        self.socket.linger = 100
        self.socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
        self.socket.setsockopt(zmq.RCVHWM, QUEUE)
        self.socket.setsockopt(zmq.SNDHWM, 1000)
        path = run_folder / SOCKET
        path.unlink(missing_ok=True)
        before = os.umask(OWNER_ONLY)  # the socket is the owner's from its first instant
        try:
            self.socket.bind(f"ipc://{path}")
        finally:
            os.umask(before)

    def receive(self) -> list[Command]:
        """Return the commands that have arrived, at most BATCH, without blocking.

        A message that is no JSON object is answered with an error.
        """
        commands: list[Command] = []
        for _ in range(BATCH):
            try:
                client, *parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            fields = _decoded(parts[0]) if len(parts) == 1 else None
            if fields is None:
                self.tell(client, done=True, ok=False, why="not a JSON object")
            else:
                commands.append(Command(client=client, fields=fields))
        return commands

    def tell(self, client: bytes, **fields: Any) -> None:
        """Send an answer to a client; where the client has gone, the answer is dropped."""
        self.socket.send_multipart([client, json.dumps(fields).encode()], zmq.NOBLOCK)

    def close(self) -> None:
        """Close the socket; answers already queued still go out."""
        self.socket.close()
        self._context.term()


def listened(path: Path) -> bool:
    """Return whether a live process listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class NotRunning(Exception):
    """No agent answers at the local socket; the message says what to do."""


class Client:
    """The client's end of the socket, as a command uses it."""

    def __init__(self, run_folder: Path) -> None:
        """Connect to the agent of a run folder. Raises NotRunning where this process may open no socket."""
        self._path = run_folder / SOCKET
        try:
            self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
            self._socket = self._context.socket(zmq.DEALER)
        except zmq.ZMQError as exc:
            raise NotRunning(f"{self._path}: {exc}; close something, or allow more (ulimit -n)") from exc
        self._socket.linger = 0
        self._socket.setsockopt(zmq.MAXMSGSIZE, 1 << 20)
        self._socket.connect(f"ipc://{self._path}")

    def say(self, **fields: Any) -> None:
        """Send a command. Raises NotRunning."""
        try:
            self._socket.send(json.dumps(fields).encode(), zmq.NOBLOCK)
        except zmq.Again as exc:
            raise self._silent() from exc

    def answers(self, first_ms: int, then_ms: int | None) -> Iterator[dict[str, Any]]:
        """Yield answers up to the last; waits `first_ms` for the first and `then_ms` for each further one.

        Raises: NotRunning where no agent answers, or the agent ended before the command was done.
        """
        wait_ms: int | None = first_ms
        heard = False
        while True:
            if not self._await(wait_ms, since_heard=heard) and not (
                not heard and listened(self._path) and self._await(BUSY_MS, since_heard=True)
            ):
                raise self._gone() if heard or listened(self._path) else self._silent()
            wait_ms, heard = then_ms, True
            fields = json.loads(self._socket.recv())
            yield fields
            if fields.get("done"):
                return

    def _await(self, wait_ms: int | None, *, since_heard: bool) -> bool:
        """Wait for an answer; returns whether one came. With `since_heard`, stops early once the agent has ended."""
        until = None if wait_ms is None else time.monotonic() + wait_ms / 1000
        while until is None or time.monotonic() < until:
            left_ms = LOOK_MS if until is None else max(1, min(LOOK_MS, round((until - time.monotonic()) * 1000)))
            if self._socket.poll(left_ms):
                return True
            if since_heard and not listened(self._path):
                return bool(self._socket.poll(LOOK_MS))
        return bool(self._socket.poll(0))

    def _gone(self) -> NotRunning:
        return NotRunning(
            f"the agent at {self._path} ended, or hangs, before it was done, and may still carry it out; what is "
            "settled is in its log: see `bandpact status` and `bandpact lease list`"
        )

    def _silent(self) -> NotRunning:
        return NotRunning(f"no agent answers at {self._path}; start it with `bandpact run`, as the same user")

    def close(self) -> None:
        """Close the connection."""
        self._context.destroy(linger=0)
