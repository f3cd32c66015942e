"""The warden as a process: `python -m agent.node.warden_process NODE.toml`. Mutes and ends when its agent ends."""

import contextlib
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agent.node.withheld  # noqa: F401 - first: it withholds what the imports below would load
from agent.config.locks import WARDEN, held
from agent.config.settings import ConfigError, NodeConfig, load
from agent.node.survivor import LAST_S, Survivor, mute_until_silent
from agent.node.wardenparts import radio_of, warden_of
from agent.timekeeping.assembly import timekeeper
from hw_profiles.printable import printable
from radio.errors import HardwareError, LocalError, RadioError
from radio.operator import ARM_MAX_S, Answer, OperatorDoor, arm_seconds
from radio.ports import Radio, RfState
from radio.priority import before_others
from radio.process import (
    OrphanedAtBirth,
    SignalEvent,
    die_with_parent,
    keep_what_is_loaded,
    never_paused,
    one_heap,
    stop_on_signals,
)
from radio.restarts import pause_of
from radio.warden import Warden

if TYPE_CHECKING:
    from agent.cbrs.assembly import WardenCbrs

RETRY_S, RETRY_MAX_S = 0.1, 5.0
CAUSES_MAX = 8
BEFORE_S = 3.0
"""Seconds that the previous warden may take to end."""
OPERATOR = "operator"


def _until_found(config: NodeConfig, stop: threading.Event) -> Radio | None:
    """Wait for the device to answer, asking less and less often; None when told to stop before it did.

    Each cause is said once, `CAUSES_MAX` of them at most.
    """
    said, failures = set[str](), 0
    while not stop.is_set():
        try:
            return radio_of(config)
        except HardwareError as exc:
            failures += 1
            cause = printable(exc)
            if cause not in said and len(said) < CAUSES_MAX:
                said.add(cause)
                sys.stderr.write(f"warden: waiting for the radio: {cause}\n")
            stop.wait(pause_of(failures, RETRY_S, RETRY_MAX_S))
    return None


def _cbrs(config: NodeConfig) -> "tuple[WardenCbrs | None, dict[str, Any]]":
    """Build base stations, SAS client and calendar, and what a `Warden` takes of them; loads only configured ones."""
    if config.cbsd is None and config.sas is None and config.calendar is None:
        return None, {}
    from agent.cbrs.assembly import beside_of, warden_cbrs

    found = warden_cbrs(config)
    return found, beside_of(found)


def run(config: NodeConfig, stop: threading.Event) -> RfState:
    """Guard the radio until told to stop; returns the output's readback at the end. Raises ConfigError, RadioError."""
    config.radio.make_ready_to_silence()
    try:
        survivor = Survivor(config.radio.silence)
    except OSError as exc:
        raise LocalError(f"no second process to silence the radio can be had: {exc.strerror}; raise the limit") from exc
    try:
        last = _guard(config, stop, survivor)
        if last is RfState.OFF:
            survivor.rest()
    finally:
        survivor.close()
    return last


def _guard(config: NodeConfig, stop: threading.Event, survivor: Survivor) -> RfState:
    radio = _until_found(config, stop)
    if radio is None:
        return RfState.OFF
    doors: list[OperatorDoor] = []
    asked = [stop.fileno()] if isinstance(stop, SignalEvent) else []
    with contextlib.ExitStack() as unguarded:  # closes everything where no warden is made, for a next try
        unguarded.callback(radio.close)
        clock = timekeeper(config, process="warden")
        unguarded.callback(clock.close)
        cbrs, beside = _cbrs(config)
        if cbrs is not None:
            unguarded.callback(cbrs.close)
            if cbrs.desk is not None:
                unguarded.callback(cbrs.desk.close)
        warden = warden_of(
            config, radio, clock.fix, beside, also=lambda: [*asked, *(knock for one in doors for knock in one.knocks())]
        )
        unguarded.pop_all()
    door = OperatorDoor(config.run_folder / OPERATOR, partial(operate, warden))
    doors.append(door)
    warden.start()
    keep_what_is_loaded()
    try:
        while not stop.is_set():
            warden.step()
            survivor.alive(time.monotonic_ns())
            door.serve()
            if cbrs is not None:
                cbrs.turn()
    finally:
        last = mute_until_silent(warden.silence, retry_s=RETRY_S)
        warden.close()
        if cbrs is not None:
            cbrs.close()
        clock.close()
        door.close()
    return last


def operate(warden: Warden, request: Answer) -> Answer:
    """Carry out an operator's request, and answer with the resulting state.

    `op` is `arm` with `for_s`, `disarm`, `stop`, `clear`, `clear station` with `device`, or `status`.
    """
    match request.get("op"):
        case "arm":
            for_s = arm_seconds(request)
            if for_s is None:
                return {"error": f"for_s must be a whole number of seconds from 1 to {ARM_MAX_S}"}
            warden.arm(for_s * 1_000_000_000)
            warden.step()  # the answer tells the gate's state after the request, as it does of a stop
        case "disarm":
            warden.arm(0)
            warden.step()
        case "clear":
            if warden.clear() is not RfState.OFF:
                return {"error": "the radio does not read back as silent; it stays latched"}
            warden.step()
        case "stop":
            warden.stop()
        case "clear station":
            if not warden.clear_station(str(request.get("device"))):
                return {"error": f"no base station {request.get('device')!r} was heard after its end"}
        case "status":
            pass
        case str(other):
            return {"error": f"no request {other!r}"}
        case _:
            return {"error": "op must be text"}
    return dict(warden.status())


def main(arguments: list[str]) -> int:
    """Run the warden; returns 0 when stopped with a silent radio, 4 when that is uncertain or the node is unusable."""
    one_heap()
    stop = stop_on_signals(but=(signal.SIGINT,))
    never_paused()
    try:
        die_with_parent()
        before_others()
        config = load(Path(arguments[0]))
        with held(config.folder, WARDEN, "a node's warden", wait_s=BEFORE_S):
            last = run(config, stop)
        if last is not RfState.OFF:
            raise HardwareError(f"after {LAST_S:.0f} s of muting it reads back {last.value}")
    except OrphanedAtBirth:
        return 0
    except (ConfigError, RadioError) as exc:
        sys.stderr.write(f"warden: {printable(exc)}\n")
        return 4
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
