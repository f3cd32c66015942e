"""The running agent's local socket: commands of the same user, answered step by step.

A Unix-domain socket that only its owner can open stands in the node's run folder; whoever can open it could also read
the node's keys. Each side sends one JSON object a message; the answers to a command end with one that has `done`.
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
"""How often a client that waits looks whether its agent still runs."""
BUSY_MS = 30_000
"""How much longer an agent that runs may take for its first answer."""
OWNER_ONLY = 0o177


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a client asked, and the client to answer."""

    client: bytes
    fields: dict[str, Any]


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


class ControlDoor:
    """The agent's end. One loop owns it and polls `socket`."""

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
        """What has arrived; never blocks. What is no JSON object is answered with how it should be."""
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
        """Answer a client; one that is gone hears nothing."""
        self.socket.send_multipart([client, json.dumps(fields).encode()], zmq.NOBLOCK)

    def close(self) -> None:
        """Let go of the socket, what was said last still goes out."""
        self.socket.close()
        self._context.term()


def listened(path: Path) -> bool:
    """Does a live process listen at a socket?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class NotRunning(Exception):
    """No agent answers at the local socket; the message says what to do."""


class Client:
    """The command's end."""

    def __init__(self, run_folder: Path) -> None:
        """Raises NotRunning where this process may open no socket."""
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
        """Answers up to the last; waits so long for the first and for each of the others.

        Raises: NotRunning where nobody answers, or the agent ended before it was done.
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
        """Whether an answer came in time; an agent that ended will not answer, however long one waits."""
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
        """Let go."""
        self._context.destroy(linger=0)
