"""Receives continuously for a program that gets the whole stream, and cuts the planned looks out of the stream.

The looks are those that `listener` would have taken: the same plan, the same ring, the same flags.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from radio.errors import RadioError
from radio.link import LookTaken
from radio.listener import LOST, RETRY_S, LookPlan
from radio.ports import Iq16, Receiver, RxBlock, RxFlag, Streamer
from radio.ring import SampleRing
from radio.wakeup import unheard
from sensing.repetition import Repetition

NS = 1_000_000_000
STRETCHES_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LookCut:
    """A look cut from the stream: `iq` of shape (n, 2), when its first sample was taken (monotonic ns), its flags."""

    iq: Iq16
    earliest_ns: int
    latest_ns: int
    flags: RxFlag


class LookCutter:
    """Cuts the planned looks out of consecutive blocks. Pure: the blocks carry their own times."""

    def __init__(self, plan: LookPlan) -> None:
        self._plan = plan
        self._next_ns: int | None = None
        self._parts: list[Iq16] = []
        self._size = 0
        self._start = (0, 0)
        self._flags = RxFlag.NONE

    def feed(self, block: RxBlock) -> list[LookCut]:
        """The looks that are complete with this block. A look that lost samples is dropped; the next one is on plan."""
        rate = block.settings.sample_rate_hz
        begin_ns = block.start.earliest_ns
        if RxFlag.GAP in block.flags or self._next_ns is None:
            self._parts, self._size = [], 0
            self._next_ns = self._plan.start_after(begin_ns)
        found: list[LookCut] = []
        at = 0
        while at < len(block.iq):
            if not self._parts:
                at = max(at, -(-(self._next_ns - begin_ns) * rate // NS))
                if at >= len(block.iq):
                    break
                moved_ns = at * NS // rate
                self._start = begin_ns + moved_ns, block.start.latest_ns + moved_ns
                self._flags = RxFlag.NONE
            part = block.iq[at : at + self._plan.samples - self._size]
            self._parts.append(part)
            self._size += len(part)
            self._flags |= block.flags
            at += len(part)
            if self._size == self._plan.samples:
                found.append(self._done())
        return found

    def _done(self) -> LookCut:
        iq = np.concatenate(self._parts)
        earliest_ns, latest_ns = self._start
        self._parts, self._size = [], 0
        self._next_ns = self._plan.start_after(earliest_ns)
        return LookCut(iq=iq, earliest_ns=earliest_ns, latest_ns=latest_ns, flags=self._flags)


class Streaming(Receiver, Streamer, Protocol):
    """A receiver that gives single looks and a continuous stream."""


class StreamListener:
    """A thread that runs `stream`; writes looks to one ring, and every stretch of samples to another."""

    def __init__(
        self,
        receiver: Streaming,
        looks: SampleRing,
        stretches: SampleRing,
        plan: LookPlan,
        *,
        rouse: Callable[[], None] = unheard,
    ) -> None:
        """Set up without starting. Args: rouse is called when a look, a stretch or a fault is ready to take."""
        self._receiver, self._plan, self._rouse = receiver, plan, rouse
        self._look_ring, self._stretch_ring = looks, stretches
        self._looks: deque[LookTaken] = deque(maxlen=8)
        self._stretches: deque[LookTaken] = deque(maxlen=STRETCHES_MAX)
        self._stop = threading.Event()
        self.fault: str | None = None
        self._sequence = 0
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; returns when it has ended or does not within two seconds."""
        self._stop.set()
        self._thread.join(2.0)

    def take(self) -> list[LookTaken]:
        """Looks taken since the last call."""
        return _emptied(self._looks)

    def take_stream(self) -> list[LookTaken]:
        """The stretches of the stream taken since the last call."""
        return _emptied(self._stretches)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._receiver.tune_rx(self._plan.settings)
                self.fault = None
                self._listen(self._receiver.stream(self._stretch_ring.slot_samples))
            except Exception as exc:  # noqa: BLE001 - whatever fails beneath, the next look is tried
                self.fault = str(exc) if isinstance(exc, RadioError) else f"{type(exc).__name__}: {exc}"
                self._rouse()
            self._stop.wait(RETRY_S)

    def _listen(self, blocks: Iterator[RxBlock]) -> None:
        """Process blocks until stopped, or until the receiver is not as it was tuned; the caller then retunes it."""
        cutter, repetition = LookCutter(self._plan), Repetition()
        for taken in blocks:
            if self._stop.is_set():
                return
            block = replace(taken, flags=taken.flags | RxFlag.STALE) if repetition.again(taken.iq) else taken
            self._stretches.append(_taken(self._stretch_ring.write(block.iq), block.sequence, block))
            for cut in cutter.feed(block):
                self._sequence += 1
                self._looks.append(_taken(self._look_ring.write(cut.iq), self._sequence, cut))
            self._rouse()
            if block.flags & LOST:
                return


def _taken(ticket: int, sequence: int, of: RxBlock | LookCut) -> LookTaken:
    earliest_ns, latest_ns = (
        (of.earliest_ns, of.latest_ns) if isinstance(of, LookCut) else (of.start.earliest_ns, of.start.latest_ns)
    )
    return LookTaken(
        ticket=ticket, sequence=sequence, earliest_ns=earliest_ns, latest_ns=latest_ns, flags=of.flags.value
    )


def _emptied(queue: deque[LookTaken]) -> list[LookTaken]:
    taken: list[LookTaken] = []
    while queue:
        taken.append(queue.popleft())
    return taken
