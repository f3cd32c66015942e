"""Reads lines and blocks from a non-blocking socket, without extra copies of samples."""

import asyncio
import contextlib
import socket

from sim.iiod.protocol import LINE_MAX

RECEIVE = 65_536
SOCKET_BUFFER = 4 << 20


class Gone(Exception):
    """The peer closed the connection, or sent something that is no line."""


class Wire:
    """One client's connection."""

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        self._socket, self._loop = connection, loop
        self._buffer = bytearray()

    async def line(self) -> bytes:
        """The next line without its line end; raises Gone."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LINE_MAX:
                raise Gone
            await self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.rstrip(b"\r")

    async def exactly(self, size: int) -> bytearray:
        """The next `size` bytes; raises Gone."""
        data = self._buffer[:size]
        del self._buffer[:size]
        have = len(data)
        if have < size:
            data.extend(bytes(size - have))
            view = memoryview(data)
            while have < size:
                got = await self._receive(view[have:])
                have += got
        return data

    async def _receive(self, view: memoryview) -> int:
        try:
            got = await self._loop.sock_recv_into(self._socket, view)
        except OSError as exc:
            raise Gone from exc
        if got == 0:
            raise Gone
        return got

    async def _more(self) -> None:
        chunk = bytearray(RECEIVE)
        got = await self._receive(memoryview(chunk))
        self._buffer += chunk[:got]

    async def send(self, data: "bytes | bytearray | memoryview") -> None:
        """Send all of it; raises Gone."""
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as exc:
            raise Gone from exc

    def cut(self) -> None:
        """Close the connection at once, in both directions."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
