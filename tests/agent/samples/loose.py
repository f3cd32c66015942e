"""A sample socket without radio and warden behind it, in a thread of the test."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import zmq

from agent.samples.counts import Counts
from agent.samples.door import ProgramDoor
from agent.samples.sockets import FromProgram, ToProgram
from radio.link import LinkMessage
from radio.ring import SampleRing
from tests.agent.samples.plans import RATE, plan


class Nobody:
    """A warden that sends nothing."""

    def send(self, message: LinkMessage) -> bool:
        return False

    def close(self) -> None:
        """Nothing to let go of."""

    def receive(self, most: int | None = None) -> list[LinkMessage]:
        return []


@contextlib.contextmanager
def loose_door(folder: Path, *, asks: bool = True) -> Iterator[Callable[[], dict[str, int]]]:
    """Yields a function for the socket's counts. `asks`: requests and answers (REQ, REP), or neither (PULL, PUSH)."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    mine, counts, stop = plan(run_folder=folder), Counts(), threading.Event()
    source = FromProgram(context, f"ipc://{folder}/program-tx", asks=asks, counts=counts)
    sink = ToProgram(context, f"ipc://{folder}/program-rx", answers=asks, rate_hz=RATE, mode=0o600)
    rings = tuple(SampleRing(folder / name, slots=4, slot_samples=8_000, create=True) for name in ("out", "in"))
    door = ProgramDoor(
        mine,
        source=source,
        sink=sink,
        warden=Nobody(),
        rings=(rings[0], rings[1]),
        counts=counts,
        now_ns=time.monotonic_ns(),
    )

    def run() -> None:
        while not stop.wait(0.001):
            door.turn(time.monotonic_ns())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield counts.as_dict
    finally:
        stop.set()
        thread.join()
        source.close()
        sink.close()
        context.term()
