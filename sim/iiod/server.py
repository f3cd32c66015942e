"""The simulated Pluto's server on loopback: connections, buffers and scripted faults around one `Pluto`.

One control connection for each client and one more for each open buffer; attributes are global, buffers belong to
their connection and are closed with it, after `keepalive_s` if the client vanished without a word.
"""

import asyncio
import errno
import socket
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Final

from sim.iiod import faults, protocol
from sim.iiod.antenna import Antenna, AntennaRefused
from sim.iiod.attributes import ADC, DAC
from sim.iiod.buffers import Buffer, Receiving, Sending
from sim.iiod.faults import Action, Script
from sim.iiod.pluto import Pluto
from sim.iiod.queues import NS, ReceiveQueue, TransmitQueue
from sim.iiod.sysfs import Sysfs
from sim.iiod.wire import Gone, Wire

LOOPBACK: Final = "127.0.0.1"
KERNEL_BUFFERS: Final = 4
CAPTURE_S: Final = 0.2
COMMANDS_KEPT: Final = 10_000


class IiodServer:
    """Serves one simulated Pluto. With `paced` False samples come as fast as they are asked for."""

    def __init__(
        self,
        pluto: Pluto,
        antenna: Antenna,
        *,
        paced: bool = True,
        keepalive_s: float = 0.0,
        contexts_max: int = 0,
        sysfs: Path | None = None,
    ) -> None:
        """Set up without serving.

        Args:
            pluto: the unit.
            antenna: the RF hardware that the unit is connected to.
            paced: hand out samples at their rate, not as fast as they are asked for.
            keepalive_s: how late it notices that a client is gone that did not say so.
            contexts_max: how many clients at once, as on USB there is one; 0 is no limit.
            sysfs: a folder to mirror the attributes in.
        """
        self.pluto = pluto
        self.script = Script()
        self.commands: list[tuple[int, str]] = []
        self._antenna = antenna
        self._paced = paced
        self._keepalive_s = keepalive_s
        self._contexts_max = contexts_max
        self._sysfs = sysfs
        self._wires: dict[int, Wire] = {}
        self._buffers: list[Buffer] = []
        self._counts: dict[str, int] = {}
        self._accepted = 0
        self._contexts: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = socket.socket()

    def listen(self, port: int = 0) -> int:
        """Bind to loopback; returns the port. Raises OSError."""
        self._listening.close()
        self._listening = socket.create_server((LOOPBACK, port), backlog=64)
        self._listening.setblocking(False)
        return int(self._listening.getsockname()[1])

    async def serve(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        self._spawn(self._capture())
        if self._sysfs is not None:
            self._spawn(Sysfs(self.pluto, self._sysfs).run())
        try:
            while True:
                connection, _ = await loop.sock_accept(self._listening)
                self._accepted += 1
                wire = Wire(connection, loop)
                self._wires[self._accepted] = wire
                self._spawn(self._client(self._accepted, wire))
        finally:
            self._listening.close()
            for task in self._tasks:
                task.cancel()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- one client ----------------------------------------------------------------------------------------------

    async def _client(self, number: int, wire: Wire) -> None:
        orderly = False
        try:
            while not orderly:
                line = await wire.line()
                text = line.decode("ascii", "replace")
                self.commands.append((number, text))
                del self.commands[:-COMMANDS_KEPT]
                orderly = await self._command(number, wire, line, self.script.due(number, text))
        except Gone:
            pass
        finally:
            wire.close()
            self._wires.pop(number, None)
            self._contexts.discard(number)
            if not orderly and self._keepalive_s:
                await asyncio.sleep(self._keepalive_s)
            for buffer in [one for one in self._buffers if one.owner == number]:
                self._close(buffer)

    async def _command(self, number: int, wire: Wire, line: bytes, action: Action | None) -> bool:
        """Execute one command line; returns True when the client ends the session."""
        command = protocol.parse(line)
        data = b""
        if isinstance(command, protocol.Write):
            data = bytes(await wire.exactly(command.size))
        match action:
            case faults.Drop():
                wire.cut()
                raise Gone
            case faults.Reboot():
                self.reboot()
                raise Gone
            case faults.Late(seconds):
                await asyncio.sleep(seconds)
            case faults.Fail(code):
                await wire.send(protocol.integer(-code))
                return False
            case faults.Lie():
                await wire.send(protocol.integer(len(data)))
                return False
        match command:
            case protocol.Plain("EXIT"):
                return True
            case protocol.ReadBuffer():
                await self._read(number, wire, command, action)
            case protocol.WriteBuffer():
                await self._write(number, wire, command)
            case None:
                pass
            case _:
                await wire.send(await self._answer(number, command, data))
        return False

    async def _answer(self, number: int, command: protocol.Command, data: bytes) -> bytes:
        match command:
            case protocol.Read(name):
                found = self.pluto.read(name)
                return protocol.integer(found) if isinstance(found, int) else protocol.value(found)
            case protocol.Write(name, size):
                return protocol.integer(await self._set(name, data) or size)
            case protocol.Plain("VERSION"):
                return protocol.VERSION_REPLY
            case protocol.Plain("PRINT"):
                self._contexts.add(number)
                if self._contexts_max and len(self._contexts) > self._contexts_max:
                    raise Gone
                return protocol.document(self.pluto.xml)
            case protocol.Open():
                return protocol.integer(self._open(number, command))
            case protocol.Close(device):
                return protocol.integer(self._closed_by(number, device))
            case protocol.SetBuffers(device, count):
                self._counts[self.pluto.device_of(device) or ""] = count
                return protocol.integer(0)
            case protocol.Timeout() | protocol.Trigger():
                return protocol.integer(0)
            case protocol.Bad(code):
                return protocol.integer(code)
        return protocol.integer(-errno.EINVAL)

    async def _set(self, name: protocol.Name, data: bytes) -> int:
        """Write an attribute; waiting samples are taken first at the old receiver settings.

        Attributes that do not change the receiver are written at once: computing samples takes the air long, and a
        write that silences a transmitter must not wait for that.
        """
        try:
            text = protocol.written(data)
        except ValueError:
            return -errno.EINVAL
        if not self.pluto.hears_otherwise(name):
            return self.pluto.write(name, text)
        await self._capture_now(older_than_ns=0)
        done = self.pluto.write(name, text)
        for buffer in self._buffers:
            if isinstance(buffer, Receiving):
                buffer.queue.retuned(rate_hz=self.pluto.rate_hz, now_ns=time.monotonic_ns())
        return done

    # -- buffers -------------------------------------------------------------------------------------------------

    def _open(self, number: int, command: protocol.Open) -> int:
        device = self.pluto.device_of(command.device)
        if device is None:
            return -errno.ENODEV
        rails = self._rails(command.mask)
        if device not in (ADC, DAC) or command.samples == 0 or rails is None:
            return -errno.EINVAL
        others = [one for one in self._buffers if one.device == device]
        if any(one.cyclic or command.cyclic for one in others):
            return -errno.EBUSY
        count = self._counts.get(device, KERNEL_BUFFERS)
        if device == ADC:
            self._buffers.append(self._receiving(number, command, count, rails))
        else:
            self._buffers.append(
                Sending(
                    owner=number,
                    device=DAC,
                    samples=command.samples,
                    rails=rails,
                    cyclic=command.cyclic,
                    pluto=self.pluto,
                    antenna=self._antenna,
                    queue=TransmitQueue(count=count),
                )
            )
            self.pluto.stream(on=True)
        return 0

    def _rails(self, mask: str) -> tuple[int, ...] | None:
        """The channels of a mask; None for one that this unit does not have."""
        bits, most = int(mask, 16), 4 if self.pluto.firmware.two_channels else 2
        return None if bits >> most else tuple(number for number in range(most) if bits >> number & 1)

    def _receiving(self, number: int, command: protocol.Open, count: int, rails: tuple[int, ...]) -> Receiving:
        now_ns = time.monotonic_ns()
        queue = ReceiveQueue(samples=command.samples, rate_hz=self.pluto.rate_hz, count=count, now_ns=now_ns)
        return Receiving(
            owner=number,
            device=ADC,
            samples=command.samples,
            rails=rails,
            mask=command.mask,
            cyclic=command.cyclic,
            pluto=self.pluto,
            antenna=self._antenna,
            queue=queue,
            paced=self._paced,
        )

    def _closed_by(self, number: int, device: str) -> int:
        name = self.pluto.device_of(device)
        if name is None:
            return -errno.ENODEV
        mine = self._own(number, name)
        if mine is None:
            return -errno.ENXIO if any(one.device == name for one in self._buffers) else -errno.EBADF
        self._close(mine)
        return 0

    def _own(self, number: int, device: str | None) -> Buffer | None:
        return next((one for one in self._buffers if (one.owner, one.device) == (number, device)), None)

    def _close(self, buffer: Buffer) -> None:
        if buffer not in self._buffers:
            return
        self._buffers.remove(buffer)
        if isinstance(buffer, Sending):
            buffer.close()
        if buffer.device == DAC and not any(one.device == DAC for one in self._buffers):
            self.pluto.stream(on=False)

    async def _read(self, number: int, wire: Wire, command: protocol.ReadBuffer, action: Action | None) -> None:
        buffer = self._own(number, self.pluto.device_of(command.device))
        if not isinstance(buffer, Receiving):
            await wire.send(protocol.integer(-errno.EBADF))
            return
        left = command.size // buffer.bytes_each * buffer.bytes_each
        if left == 0:
            await wire.send(protocol.integer(0))
            return
        mask: str | None = buffer.mask
        while left:
            if isinstance(action, faults.Overflow):
                await buffer.overflow(action)
            data = buffer.last if isinstance(action, faults.Repeat) else await buffer.next()
            part = memoryview(data)[: min(left, len(data))]
            if isinstance(action, faults.Short):
                part = part[: action.samples * buffer.bytes_each]
            await wire.send(protocol.chunk_header(len(part), mask))
            if isinstance(action, faults.Cut):
                await wire.send(part[: len(part) // 2])
                wire.cut()
                raise Gone
            await wire.send(part)
            mask, left = None, left - len(part)
            if isinstance(action, faults.Short):
                await wire.send(protocol.integer(0))
                return

    async def _capture(self) -> None:
        while True:
            await asyncio.sleep(CAPTURE_S / 2)
            await self._capture_now(older_than_ns=round(CAPTURE_S * NS))

    async def _capture_now(self, *, older_than_ns: int) -> None:
        for buffer in list(self._buffers):
            if isinstance(buffer, Receiving):
                await buffer.capture(older_than_ns=older_than_ns)

    async def _write(self, number: int, wire: Wire, command: protocol.WriteBuffer) -> None:
        buffer = self._own(number, self.pluto.device_of(command.device))
        if not isinstance(buffer, Sending) or command.size > buffer.samples * buffer.bytes_each:
            await wire.send(protocol.integer(-errno.EBADF if buffer is None else -errno.EINVAL))
            return
        await wire.send(protocol.integer(0))
        data = bytes(await wire.exactly(command.size))
        try:
            await buffer.write(data)
        except AntennaRefused:
            await wire.send(protocol.integer(-errno.EIO))
            return
        await wire.send(protocol.integer(command.size))

    # -- what a test does to it ----------------------------------------------------------------------------------

    def drop(self, number: int) -> None:
        """Close one connection."""
        self._wires[number].cut()

    @property
    def open_buffers(self) -> int:
        """Number of open buffers."""
        return len(self._buffers)

    @property
    def connections(self) -> list[int]:
        """Numbers of the open connections, oldest first."""
        return sorted(self._wires)

    def reboot(self) -> None:
        """Lose power and restart."""
        for buffer in list(self._buffers):
            self._close(buffer)
        for wire in self._wires.values():
            wire.cut()
        self.pluto.boot()
