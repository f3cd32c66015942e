"""Takes looks off the air on a steady grid, in a thread of its own, and leaves them in the receive ring."""

import threading
import time
from collections import deque
from dataclasses import dataclass

from radio.errors import HardwareError
from radio.link import Look
from radio.ports import Receiver, RxSettings
from radio.ring import SampleRing

RETRY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class LookPlan:
    """When to listen: `samples` from `offset_ns` into each frame of `frame_ns` of the monotonic clock."""

    frame_ns: int
    offset_ns: int
    samples: int
    settings: RxSettings


class Listener:
    """Runs `receive` on the plan's grid; a look that comes too late is skipped, never stretched."""

    def __init__(self, receiver: Receiver, ring: SampleRing, plan: LookPlan) -> None:
        self._receiver, self._ring, self._plan = receiver, ring, plan
        self._looks: deque[Look] = deque(maxlen=8)
        self._stop = threading.Event()
        self.fault: str | None = None
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; returns when the thread has ended or does not within two seconds."""
        self._stop.set()
        self._thread.join(2.0)

    def take(self) -> list[Look]:
        """Looks taken since the last call."""
        taken: list[Look] = []
        while self._looks:
            taken.append(self._looks.popleft())
        return taken

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._receiver.tune_rx(self._plan.settings)
                self.fault = None
                self._listen()
            except HardwareError as exc:
                self.fault = str(exc)
                self._stop.wait(RETRY_S)

    def _listen(self) -> None:
        plan = self._plan
        while not self._stop.is_set():
            now_ns = time.monotonic_ns()
            start_ns = (now_ns - plan.offset_ns) // plan.frame_ns * plan.frame_ns + plan.frame_ns + plan.offset_ns
            if self._stop.wait((start_ns - now_ns) / 1e9):
                return
            block = self._receiver.receive(plan.samples)
            self._looks.append(
                Look(
                    ticket=self._ring.write(block.iq),
                    sequence=block.sequence,
                    earliest_ns=block.start.earliest_ns,
                    latest_ns=block.start.latest_ns,
                    flags=block.flags.value,
                )
            )
