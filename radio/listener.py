"""A thread that takes looks from the receiver on a periodic grid and writes them to the receive ring."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from radio.errors import RadioError
from radio.link import LookTaken
from radio.ports import Receiver, RxFlag, RxSettings
from radio.ring import SampleRing
from radio.wakeup import unheard
from sensing.repetition import Repetition

RETRY_S = 0.2
LOST = RxFlag.MOVED | RxFlag.DEAF
GOLDEN = 2_654_435_769
"""The golden ratio's fraction, times 2**32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookPlan:
    """When to listen: `samples` from `offset_ns` into each frame of `frame_ns` of the monotonic clock.

    Looks on an exact grid would meet a radar whose pulses keep time with it at the same phase for ever, between the
    pulses at worst: each begins up to `dither_ns` later, by golden-ratio steps, which spread evenly.
    """

    frame_ns: int
    offset_ns: int
    samples: int
    settings: RxSettings
    dither_ns: int = 0

    def start_after(self, now_ns: int) -> int:
        """Start of the first look that is not yet due, monotonic ns."""
        number = (now_ns - self.offset_ns) // self.frame_ns + 1
        later_ns = number * GOLDEN % 2**32 * self.dither_ns >> 32
        return number * self.frame_ns + self.offset_ns + later_ns


class Listener:
    """Runs `receive` on the plan's grid; a look that comes too late is skipped, never stretched."""

    def __init__(
        self, receiver: Receiver, ring: SampleRing, plan: LookPlan, *, rouse: Callable[[], None] = unheard
    ) -> None:
        """Set up without starting. Args: rouse is called when a look or a fault is ready to take."""
        self._receiver, self._ring, self._plan, self._rouse = receiver, ring, plan, rouse
        self._looks: deque[LookTaken] = deque(maxlen=8)
        self._stop = threading.Event()
        self.fault: str | None = None
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; returns when it has ended or does not within two seconds."""
        self._stop.set()
        self._thread.join(2.0)

    def take(self) -> list[LookTaken]:
        """The looks taken since the last call."""
        taken: list[LookTaken] = []
        while self._looks:
            taken.append(self._looks.popleft())
        return taken

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._receiver.tune_rx(self._plan.settings)
                self.fault = None
                self._listen()
                self._stop.wait(RETRY_S)
            except Exception as exc:  # noqa: BLE001 - whatever fails beneath, the next look is tried
                self.fault = str(exc) if isinstance(exc, RadioError) else f"{type(exc).__name__}: {exc}"
                self._rouse()
                self._stop.wait(RETRY_S)

    def _listen(self) -> None:
        """Take looks until stopped, or until the receiver is not as it was tuned; the caller then tunes it again."""
        plan, repetition = self._plan, Repetition()
        while not self._stop.is_set():
            now_ns = time.monotonic_ns()
            if self._stop.wait((plan.start_after(now_ns) - now_ns) / 1e9):
                return
            block = self._receiver.receive(plan.samples)
            flags = block.flags | (RxFlag.STALE if repetition.again(block.iq) else RxFlag.NONE)
            self._looks.append(
                LookTaken(
                    ticket=self._ring.write(block.iq),
                    sequence=block.sequence,
                    earliest_ns=block.start.earliest_ns,
                    latest_ns=block.start.latest_ns,
                    flags=flags.value,
                )
            )
            self._rouse()
            if block.flags & LOST:
                return
