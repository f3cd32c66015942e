"""Prepares a program's samples for the gate: consumed at the sample rate whatever the gate's state, cut into slots.

Pure: samples and monotonic time are arguments, bursts the result. The stream starts at a slot's period and never
stops: samples missing when due leave a gap, and later ones shift by its length.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from agent.samples.counts import Counts
from agent.samples.levels import to_codes
from agent.samples.plan import CHECK_US, NS, DoorPlan
from agent.samples.resampler import Resampler
from radio.ports import Iq16
from radio.signals.shapes import Cplx, raised_cosine

AHEAD_NS = 30_000_000
"""Time in ns for which the program's samples are held before they are due."""
KEPT_NS = 250_000_000
STALL_NS = 200_000_000
GONE_NS = 1_000_000_000
"""Time in ns without samples after which the program counts as gone; then none count as missing."""
EDGE_US = 20
"""Rise and fall time in us of a burst's edges, which keeps its spectrum inside the channel."""
BURST_US_MIN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotBurst:
    """Samples of one slot, shape (n, 2), meant to begin at `at_ns` (monotonic)."""

    iq: Iq16
    at_ns: int


class _Buffer:
    """A queue of samples, taken from the front."""

    def __init__(self) -> None:
        self._parts: deque[Cplx] = deque()
        self.size = 0

    def put(self, samples: Cplx) -> None:
        if len(samples):
            self._parts.append(samples)
            self.size += len(samples)

    def take(self, count: int) -> list[Cplx]:
        """Remove and return at most `count` samples, in pieces."""
        taken: list[Cplx] = []
        while count > 0 and self._parts:
            first = self._parts.popleft()
            if len(first) > count:
                self._parts.appendleft(first[count:])
                first = first[:count]
            taken.append(first)
            count -= len(first)
            self.size -= len(first)
        return taken

    def clear(self) -> int:
        """Drop all samples; returns how many there were."""
        size, self.size = self.size, 0
        self._parts.clear()
        return size


class TransmitStream:
    """One program's outgoing samples. `radio` figures are in the radio's samples."""

    def __init__(self, plan: DoorPlan, counts: Counts, *, now_ns: int) -> None:
        self._plan, self._counts = plan, counts
        self._resampler = Resampler(from_hz=plan.program_hz, to_hz=plan.radio_hz)
        self._buffer = _Buffer()
        self._scale = plan.tx_full_scale * 10 ** (plan.gain_mdb / 20_000)
        self._lead_ns = plan.slots.length_ns + CHECK_US * 1000
        self._zero_ns = plan.slots.after(now_ns + self._lead_ns)
        self._at = 0
        self._fed_ns: int | None = None
        self._edge = max(1, plan.radio_hz * EDGE_US // 1_000_000)
        self._slot_start, self._slot_ns = self._slot(self._zero_ns)
        self._held: list[Cplx] = []
        self._held_size = self._held_from = 0
        self._broken = False

    def _slot(self, at_ns: int) -> tuple[int, int]:
        """Return the number of the first sample, and the time, of the first slot at or after an instant."""
        begin_ns = self._plan.slots.after(at_ns)
        return (begin_ns - self._zero_ns) * self._plan.radio_hz // NS, begin_ns

    # -- what comes in -------------------------------------------------------------------------------------------

    def wanted(self) -> int:
        """Return how many of the program's samples to request now; 0 while enough are held."""
        missing = self._plan.radio_hz * AHEAD_NS // NS - self._buffer.size
        return max(0, missing * self._plan.program_hz // self._plan.radio_hz)

    def present(self, now_ns: int) -> bool:
        """Return whether the program gave samples recently."""
        return self._fed_ns is not None and now_ns - self._fed_ns < GONE_NS

    def feed(self, samples: Cplx, now_ns: int) -> None:
        """Add samples that were `decoded`; those beyond `KEPT_NS` are dropped."""
        if not len(samples):
            return
        self._fed_ns = now_ns
        self._counts.taken += len(samples)
        room = (self._plan.radio_hz * KEPT_NS // NS - self._buffer.size) * self._plan.program_hz // self._plan.radio_hz
        if len(samples) > room:
            self._counts.overrun += len(samples) - max(0, room)
            samples = samples[: max(0, room)]
        self._buffer.put(self._resampler.feed(samples))

    # -- what goes out -------------------------------------------------------------------------------------------

    def due(self, now_ns: int, *, open_: bool) -> list[SlotBurst]:
        """Consume what is due; returns the slots completed by it while the gate is open, else nothing."""
        target = (now_ns + self._lead_ns - self._zero_ns) * self._plan.radio_hz // NS
        if target - self._at > self._plan.radio_hz * STALL_NS // NS:
            self._skip(target)
        bursts: list[SlotBurst] = []
        while self._at < target:
            stop = min(target, self._next_edge())
            bursts += self._advance(stop, now_ns, open_=open_)
        return bursts

    def _program(self, radio_samples: int) -> int:
        return radio_samples * self._plan.program_hz // self._plan.radio_hz

    def _skip(self, target: int) -> None:
        """Skip what fell due while this process was delayed; its slot is lost too."""
        self._counts.stalled += self._program(sum(len(part) for part in self._buffer.take(target - self._at)))
        self._at = target
        self._restart(self._zero_ns + target * NS // self._plan.radio_hz)

    def _restart(self, at_ns: int) -> None:
        self._slot_start, self._slot_ns = self._slot(at_ns)
        self._held, self._held_size, self._held_from, self._broken = [], 0, 0, False

    def _next_edge(self) -> int:
        """Return the next beginning or end of a slot."""
        if self._at < self._slot_start:
            return self._slot_start
        return self._slot_start + self._plan.slot_samples

    def _advance(self, stop: int, now_ns: int, *, open_: bool) -> list[SlotBurst]:
        """Consume the samples up to `stop`, all of them inside the slot or all outside."""
        count, inside = stop - self._at, self._at >= self._slot_start
        parts = self._buffer.take(count)
        got = sum(len(part) for part in parts)
        if inside:
            self._hold(parts, got, count)
        else:
            self._counts.quiet += self._program(got)
        if got < count and self.present(now_ns):
            self._counts.underflow += self._program(count - got)
        self._at = stop
        if not inside or stop < self._slot_start + self._plan.slot_samples:
            return []
        burst = self._burst(open_=open_)
        self._restart(self._slot_ns + 1)
        return [burst] if burst is not None else []

    def _hold(self, parts: list[Cplx], got: int, count: int) -> None:
        """Keep the first unbroken run of a slot: nothing is transmitted around a gap."""
        if got and not self._broken:
            if not self._held:
                self._held_from = self._at - self._slot_start
            self._held += parts
            self._held_size += got
        elif got:
            self._counts.underflow += self._program(got)
        if got < count and self._held:
            self._broken = True

    def _burst(self, *, open_: bool) -> SlotBurst | None:
        size, carried = self._held_size, self._program(self._held_size)
        if not open_:
            self._counts.closed += carried
            return None
        if size < self._plan.radio_hz * BURST_US_MIN // 1_000_000:
            return None
        samples = np.concatenate(self._held)
        edge = min(self._edge, size // 2)
        ramp = raised_cosine(edge)
        samples[:edge] *= ramp
        samples[size - edge :] *= ramp[::-1]
        self._counts.sent += carried
        at_ns = self._slot_ns + self._held_from * NS // self._plan.radio_hz
        return SlotBurst(iq=to_codes(samples, self._scale), at_ns=at_ns)
