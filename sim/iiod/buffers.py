"""Open sample buffers of a simulated Pluto: kernel queues in time, connected to an antenna."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from sim.iiod.antenna import Antenna, AntennaRefused
from sim.iiod.faults import Overflow
from sim.iiod.frontend import ReceivePath
from sim.iiod.pluto import OVERFLOW_BIT, UNDERFLOW_BIT, Pluto
from sim.iiod.queues import NS, ReceiveQueue, TransmitQueue

RAIL_BYTES: Final = 2
BYTES: Final = 2 * RAIL_BYTES
CYCLE_S: Final = 0.05
CYCLES_AHEAD_NS: Final = 500_000_000
Samples: TypeAlias = bytes | memoryview


@dataclass(slots=True, kw_only=True)
class Receiving:
    """An open receive buffer. With `paced` False samples come as fast as they are asked for."""

    owner: int
    device: str
    samples: int
    rails: tuple[int, ...]
    mask: str
    cyclic: bool
    pluto: Pluto
    antenna: Antenna
    queue: ReceiveQueue
    paced: bool
    last: Samples = b""
    _held: dict[int, Samples] = field(default_factory=dict)

    async def next(self) -> Samples:
        """The samples of the next full buffer; waits until there is one."""
        queue = self.queue
        if not self.paced:
            start_ns = time.monotonic_ns() - queue.length_ns
            self.last = self._seen(self.antenna.look(start_ns, self.samples * self.pluto.decimation), start_ns)
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

    @property
    def bytes_each(self) -> int:
        """Bytes per sample over all enabled channels."""
        return RAIL_BYTES * len(self.rails)

    async def _look(self, start_ns: int) -> Samples:
        end, many = self.pluto.front_end(), self.samples * self.pluto.decimation
        try:
            taken: Samples = await asyncio.to_thread(self.antenna.look, start_ns, many)
        except AntennaRefused:
            taken = bytes(many * BYTES)
        return self._seen(taken, start_ns, end)

    def _seen(self, taken: Samples, start_ns: int, end: ReceivePath | None = None) -> Samples:
        """The antenna's samples as the receive path and the enabled channels return them."""
        through = (self.pluto.front_end() if end is None else end).through(taken, start_ns=start_ns)
        if len(through) > self.samples * BYTES:
            rails = np.frombuffer(through, dtype="<i2").reshape(self.samples, -1, 2)
            through = np.rint(rails.mean(axis=1)).astype("<i2").tobytes()
        if self.rails == (0, 1):
            return through
        iq = np.frombuffer(through, dtype="<i2").reshape(-1, 2)
        # The second receiver has no antenna.
        both = np.hstack([iq, np.zeros_like(iq)])
        return np.ascontiguousarray(both[:, list(self.rails)]).tobytes()

    async def capture(self, *, older_than_ns: int) -> None:
        """Take the samples of full buffers that nobody reads, before the air drops them."""
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
    rails: tuple[int, ...]
    cyclic: bool
    pluto: Pluto
    antenna: Antenna
    queue: TransmitQueue
    _cycles: "asyncio.Task[None] | None" = None

    async def write(self, data: bytes) -> None:
        """Queue samples once there is room; a cyclic buffer plays them endlessly. Raises AntennaRefused."""
        if self.cyclic:
            self._cycles = asyncio.create_task(self._cycle(self._played(data)))
            return
        queue = self.queue
        free_ns = queue.free_ns(now_ns=time.monotonic_ns())
        while free_ns > time.monotonic_ns():
            await asyncio.sleep((free_ns - time.monotonic_ns()) / NS)
            free_ns = queue.free_ns(now_ns=time.monotonic_ns())
        if 0 < queue.busy_until_ns < time.monotonic_ns():
            self.pluto.raise_flag(UNDERFLOW_BIT)
        played = self._played(data)
        if played:
            queue.add(self.antenna.play(played))

    @property
    def bytes_each(self) -> int:
        """Bytes per sample over all enabled channels."""
        return RAIL_BYTES * len(self.rails)

    def _played(self, data: bytes) -> bytes:
        """The first transmitter's part of samples for all enabled channels."""
        times = self.pluto.interpolation
        if self.rails == (0, 1):
            return data if times == 1 else np.repeat(np.frombuffer(data, dtype="<i4"), times).tobytes()
        given = np.frombuffer(data, dtype="<i2").reshape(-1, len(self.rails))
        iq = np.zeros((len(given), 2), dtype="<i2")
        for at, rail in enumerate(self.rails):
            if rail < 2:
                iq[:, rail] = given[:, at]
        return np.repeat(iq, times, axis=0).tobytes()

    async def _cycle(self, data: bytes) -> None:
        """Play a buffer repeatedly, until it is closed."""
        times = max(1, -(-int(CYCLE_S * self.pluto.chip_rate_hz) * BYTES // len(data)))
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
