"""The samples door as a process: `python -m agent.samples.process NODE.toml`. Ends with its agent."""

import json
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path

import zmq

from agent.config.settings import ConfigError, NodeConfig, load
from agent.samples import shared
from agent.samples.counts import Counts
from agent.samples.door import ProgramDoor
from agent.samples.memory import DoorOverfull, MemoryBound, set_last_resort
from agent.samples.plan import DoorPlan, door_plan
from agent.samples.sockets import FromProgram, StatusSocket, ToProgram
from hw_profiles.leftover import clear_away
from hw_profiles.printable import printable
from radio.process import OrphanedAtBirth, die_with_parent, keep_what_is_loaded, one_heap, stop_on_signals
from radio.ring import RingError
from radio.speakers import Speakers, WaitFailed

POLL_MS = 2
TELL_NS = 250_000_000
OVERFULL = 3


def write_state(folder: Path, state: dict[str, object]) -> None:
    """Write the door's state where the agent reads it."""
    fresh = folder / f".{shared.FILE}.new"
    try:
        fresh.write_text(json.dumps(state), encoding="utf-8")
        os.replace(fresh, folder / shared.FILE)  # noqa: PTH105 - atomic
    except OSError:
        clear_away(fresh)


def run(config: NodeConfig, plan: DoorPlan, stop: threading.Event) -> None:
    """Carry samples until told to stop. Raises ConfigError, RingError, DoorOverfull, WaitFailed."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    link, counts = shared.link_of(config, bind=False), Counts()
    source, sink, status = _source(context, plan, counts), _sink(context, plan, config), _status(context, plan, config)
    speakers = Speakers(link.socket, *(one.socket for one in (source, sink, status) if one is not None))
    door = ProgramDoor(
        plan,
        source=source,
        sink=sink,
        warden=link,
        rings=shared.rings_of(config, plan, create=False),
        counts=counts,
        now_ns=time.monotonic_ns(),
    )
    keep_what_is_loaded()
    bound = MemoryBound()
    set_last_resort()
    tell_ns = 0
    while not stop.is_set():
        speakers.heard(POLL_MS)
        now_ns = time.monotonic_ns()
        door.turn(now_ns)
        if status is not None:
            status.serve(partial(door.state, now_ns))
        if now_ns >= tell_ns:
            tell_ns = now_ns + TELL_NS
            bound.look()
            write_state(config.run_folder, door.state(now_ns))


def _source(context: "zmq.Context[zmq.Socket[bytes]]", plan: DoorPlan, counts: Counts) -> FromProgram | None:
    if plan.transmit is None:
        return None
    try:
        return FromProgram(context, plan.transmit, asks=plan.asks, counts=counts)
    except zmq.ZMQError as exc:
        raise ConfigError(f"samples.transmit: {plan.transmit}: {exc}; choose another address") from exc


def _sink(context: "zmq.Context[zmq.Socket[bytes]]", plan: DoorPlan, config: NodeConfig) -> ToProgram | None:
    if plan.receive is None:
        return None
    mode = shared.mode_of(config)
    try:
        return ToProgram(context, plan.receive, answers=plan.answers, rate_hz=plan.program_hz, mode=mode)
    except (zmq.ZMQError, OSError) as exc:
        raise ConfigError(f"samples.receive: cannot listen at {plan.receive}: {exc}; choose another address") from exc


def _status(context: "zmq.Context[zmq.Socket[bytes]]", plan: DoorPlan, config: NodeConfig) -> StatusSocket | None:
    if plan.status is None:
        return None
    try:
        return StatusSocket(context, plan.status, mode=shared.mode_of(config))
    except (zmq.ZMQError, OSError) as exc:
        raise ConfigError(f"samples.status: cannot listen at {plan.status}: {exc}; choose another address") from exc


def main(arguments: list[str]) -> int:
    """Run the door; returns 0 when stopped or without a door, 1 when it cannot be opened, 3 when over a limit."""
    one_heap()
    stop = stop_on_signals()
    try:
        die_with_parent()
        config = load(Path(arguments[0]))
        plan = door_plan(config)
        if plan is not None:
            run(config, plan, stop)
    except OrphanedAtBirth:
        return 0
    except (ConfigError, RingError, WaitFailed) as exc:
        sys.stderr.write(f"samples: {printable(exc)}\n")
        return 1
    except DoorOverfull as exc:
        sys.stderr.write(f"samples: {exc}\n")
        sys.stderr.flush()
        os._exit(OVERFULL)  # exit at once: freeing what is held in order would take too long
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
