"""Tests of the sample process as the agent sees it: started, restarted, and shown to people and in metrics."""

import json
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from agent.config.settings import load
from agent.node.events import EventLog, read_events
from agent.node.samples_side import SamplesSide
from agent.samples.shown import gauges, lines
from tests.agent.samples.nodes import node_config

pytestmark = pytest.mark.feature("R11")

LIMIT_S = 60.0


def until(found: Callable[[], object]) -> bool:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if found():
            return True
        time.sleep(0.02)
    return False


def side_of(folder: Path, samples: str) -> tuple[SamplesSide, EventLog]:
    (folder / "run").mkdir()
    path = folder / "node.toml"
    path.write_text(node_config(folder, samples))
    events = EventLog(folder, "n")
    return SamplesSide(load(path), path, events), events


def asked(at: str) -> dict[str, Any]:
    """What a program is told that asks how the door is."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger, socket.rcvtimeo = 0, int(LIMIT_S * 1000)
        socket.connect(at)
        socket.send(b"")
        found: dict[str, Any] = json.loads(socket.recv())
        return found


def test_a_door_that_is_killed_is_told_of_and_started_again(tmp_path: Path) -> None:
    side, events = side_of(tmp_path, '[samples]\nsource = "program"\n')
    try:

        def alive() -> bool:
            side.turn(time.monotonic_ns())
            state = side.state(time.monotonic_ns())
            return bool(state and state["alive"])

        assert until(alive)
        said = asked(f"ipc://{tmp_path}/run/program-status")
        assert (said["open"], said["why"]) == (False, "the warden says nothing of its gate")
        assert said["samples"]["sent"] == 0
        assert side._process is not None
        os.kill(side._process.pid, signal.SIGKILL)
        side._process.wait()
        state = side.state(time.monotonic_ns())
        assert state is not None
        assert not state["alive"]
        assert "does not run" in lines(state)[0]
        assert until(alive)
        again = side.state(time.monotonic_ns())
        assert again is not None
        assert again["starts"] == 2
        told = [e for e in read_events(tmp_path) if e["event"] == "samples door ended"]
        assert [e["code"] for e in told] == [-signal.SIGKILL]
    finally:
        side.close()
        events.close()


def endless_message(path: Path, megabytes: int) -> None:
    """Send a message whose last part never comes, as no ZeroMQ library would: ZMTP 3.0 by hand."""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(str(path))
        plain.sendall(b"\xff" + bytes(7) + b"\x01\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
        plain.recv(64, socket.MSG_WAITALL)
        kind = b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
        plain.sendall(bytes((4, 6 + len(kind))) + b"\x05READY" + kind)
        part = b"\x03" + struct.pack(">Q", 1 << 20) + bytes(1 << 20)
        for _ in range(megabytes):
            plain.sendall(part)


def test_a_message_without_an_end_ends_the_door_and_another_begins(tmp_path: Path) -> None:
    side, events = side_of(tmp_path, '[samples]\nsource = "program"\n')

    def alive() -> bool:
        side.turn(time.monotonic_ns())
        state = side.state(time.monotonic_ns())
        return bool(state and state["alive"])

    try:
        assert until(alive)
        held = side._process
        assert held is not None
        with suppress(OSError):
            endless_message(tmp_path / "run" / "program-rx", 3000)
        assert held.wait(LIMIT_S) in (3, -signal.SIGABRT)
        assert until(lambda: alive() and side._process is not held)
        assert asked(f"ipc://{tmp_path}/run/program-status")["open"] is False
        assert "a message that does not end" in (tmp_path / "samples.log").read_text()
    finally:
        side.close()
        events.close()


def test_a_program_that_connects_over_and_over_ends_the_door_with_a_reason(tmp_path: Path) -> None:
    side, events = side_of(tmp_path, '[samples]\nsource = "program"\n')

    def alive() -> bool:
        side.turn(time.monotonic_ns())
        state = side.state(time.monotonic_ns())
        return bool(state and state["alive"])

    opened: list[socket.socket] = []
    try:
        assert until(alive)
        held = side._process
        assert held is not None

        def ended() -> bool:
            one = socket.socket(socket.AF_UNIX)
            opened.append(one)
            with suppress(OSError):
                one.connect(str(tmp_path / "run" / "program-status"))
            return held.poll() is not None

        assert until(lambda: any(ended() for _ in range(20)))
        assert held.returncode == 3
        assert "connects over and over" in (tmp_path / "samples.log").read_text()
        while opened:
            opened.pop().close()
        assert until(lambda: alive() and side._process is not held)
    finally:
        for one in opened:
            one.close()
        side.close()
        events.close()


def test_a_door_that_cannot_open_says_why_in_its_log(tmp_path: Path) -> None:
    side, events = side_of(tmp_path, f'[samples]\nsource = "program"\nreceive = "ipc://{tmp_path}/none/rx"\n')
    try:
        assert side._process is not None
        assert side._process.wait(LIMIT_S) == 1
        said = (tmp_path / "samples.log").read_text()
        assert said.startswith("samples: samples.receive: cannot listen at ipc://")
        assert "Traceback" not in said
    finally:
        side.close()
        events.close()


def test_a_node_without_a_program_has_no_door(tmp_path: Path) -> None:
    side, events = side_of(tmp_path, "")
    side.turn(1)
    assert side.state(1) is None
    assert (lines(None), list(gauges(None))) == ([], [])
    side.close()
    events.close()


def told(gate: dict[str, Any] | None) -> dict[str, Any]:
    names = ("taken", "sent", "closed", "quiet", "underflow", "overrun", "stalled", "not_finite", "malformed")
    counts = {**dict.fromkeys((*names, "given", "lost", "silence", "unread"), 0), "closed": 7, "malformed": 2}
    door = {
        "transmit": "ipc:///tx", "receive": "ipc:///rx", "sample_rate_hz": 4_000_000, "sending": True,
        "reading": False, "streamed": True, "gate": gate, "samples": counts,
        "slot": {"period_ns": 40, "offset_ns": 0, "length_ns": 28},
    }  # fmt: skip
    return {"alive": True, "starts": 1, "door": door}


OPEN = {
    "state": "OPEN", "reason": "", "low_hz": 3_554_000_000, "high_hz": 3_557_000_000, "eirp_mdbm": 20_000, "sent": 5,
    "late": 1, "refused": 3, "why": "POWER [waveform.eirp] 31000 mdBm (required: <= 19700 mdBm)",
}  # fmt: skip


def test_people_read_why_nothing_is_on_the_air() -> None:
    said = lines(told({**OPEN, "state": "ARMED", "reason": "NO_PERMIT"}))
    assert said[0].endswith("program sends ipc:///tx (sending), receives ipc:///rx (nobody)")
    assert said[1] == "samples dropped: gate ARMED NO_PERMIT"
    assert said[2] == "samples not carried: 7 closed; messages malformed: 2; bursts 5 sent, 1 late, 3 refused"
    assert "says nothing" in lines(told(None))[1]


def test_people_read_what_is_on_the_air_and_what_was_refused() -> None:
    said = lines(told(OPEN))[1]
    assert said.startswith("samples on the air in 70 % of time, 3554-3557 MHz, at most 20 dBm EIRP")
    assert "31000 mdBm" in said


def test_programs_read_the_same() -> None:
    found = {(name, tuple(labels.values())): value for name, _, labels, value in gauges(told(OPEN))}
    assert found["bandpact_samples", ("closed",)] == 7
    assert found["bandpact_samples_bursts", ("refused",)] == 3
    assert not found["bandpact_samples_dropped", ("",)]
    closed = {**OPEN, "state": "LOCKED", "reason": "NOT_ARMED"}
    again = {(name, tuple(labels.values())): value for name, _, labels, value in gauges(told(closed))}
    assert again["bandpact_samples_dropped", ("NOT_ARMED",)]
