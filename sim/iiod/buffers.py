"""The open buffers of a simulated Pluto: kernel queues in time, tied to an antenna."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from sim.iiod.antenna import Antenna, AntennaRefused
from sim.iiod.faults import Overflow
from sim.iiod.pluto import OVERFLOW_BIT, UNDERFLOW_BIT, Pluto
from sim.iiod.queues import NS, ReceiveQueue, TransmitQueue

BYTES: Final = 4
CYCLE_S: Final = 0.05
CYCLES_AHEAD_NS: Final = 500_000_000
Samples: TypeAlias = bytes | memoryview


@dataclass(slots=True, kw_only=True)
class Receiving:
    """An open receive buffer. `paced` False gives samples as fast as they are asked for."""

    owner: int
    device: str
    samples: int
    mask: str
    cyclic: bool
    pluto: Pluto
    antenna: Antenna
    queue: ReceiveQueue
    paced: bool
    last: Samples = b""
    _held: dict[int, Samples] = field(default_factory=dict)

    async def next(self) -> Samples:
        """The samples of the next full buffer, waiting until there is one."""
        queue = self.queue
        if not self.paced:
            self.last = self.antenna.look(time.monotonic_ns() - queue.length_ns, self.samples)
            return self.last
        taken = queue.take(now_ns=time.monotonic_ns())
        while taken is None:
            await asyncio.sleep((queue.due_ns(now_ns=time.monotonic_ns()) - time.monotonic_ns()) / NS)
            taken = queue.take(now_ns=time.monotonic_ns())
        if taken.after_loss:
            self.pluto.raise_flag(OVERFLOW_BIT)
        held = self._held.pop(taken.start_ns, None)
        self.last = await self._look(taken.start_ns) if held is None else held
        return self.last

    async def _look(self, start_ns: int) -> Samples:
        try:
            return await asyncio.to_thread(self.antenna.look, start_ns, self.samples)
        except AntennaRefused:
            return bytes(self.samples * BYTES)

    async def capture(self, *, older_than_ns: int) -> None:
        """Take the samples of full buffers that nobody reads, as a radio does; the air would forget them."""
        if not self.paced:
            return
        now_ns = time.monotonic_ns()
        for one in self.queue.waiting(now_ns=now_ns):
            if one.start_ns not in self._held and one.start_ns <= now_ns - older_than_ns:
                self._held[one.start_ns] = await self._look(one.start_ns)

    async def overflow(self, fault: Overflow) -> None:
        """Lose samples for a while."""
        await asyncio.sleep(fault.seconds)
        if fault.flagged:
            self.pluto.raise_flag(OVERFLOW_BIT)
        while self.queue.take(now_ns=time.monotonic_ns()) is not None:
            pass


@dataclass(slots=True, kw_only=True)
class Sending:
    """An open transmit buffer."""

    owner: int
    device: str
    samples: int
    cyclic: bool
    pluto: Pluto
    antenna: Antenna
    queue: TransmitQueue
    _cycles: "asyncio.Task[None] | None" = None

    async def write(self, data: bytes) -> None:
        """Queue samples once there is room; a cyclic buffer plays them for ever. Raises AntennaRefused."""
        if self.cyclic:
            self._cycles = asyncio.create_task(self._cycle(data))
            return
        queue = self.queue
        free_ns = queue.free_ns(now_ns=time.monotonic_ns())
        while free_ns > time.monotonic_ns():
            await asyncio.sleep((free_ns - time.monotonic_ns()) / NS)
            free_ns = queue.free_ns(now_ns=time.monotonic_ns())
        if 0 < queue.busy_until_ns < time.monotonic_ns():
            self.pluto.raise_flag(UNDERFLOW_BIT)
        queue.add(self.antenna.play(data))

    async def _cycle(self, data: bytes) -> None:
        """Play a buffer over and over; nothing but its closing ends it."""
        times = max(1, -(-int(CYCLE_S * self.pluto.rate_hz) * BYTES // len(data)))
        end_ns = time.monotonic_ns()
        while True:
            while end_ns < time.monotonic_ns() + CYCLES_AHEAD_NS:
                end_ns = self.antenna.play(data * times)
            await asyncio.sleep(CYCLE_S / 2)

    def close(self) -> None:
        """End a cyclic buffer."""
        if self._cycles is not None:
            self._cycles.cancel()


Buffer: TypeAlias = Receiving | Sending
