"""The agent's end of the warden: starts its process, exchanges messages with it, and relies only on what it reports."""

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent.config.settings import NodeConfig
from agent.node.wardenparts import link_of, rings_of
from radio.link import (
    AgentBeat,
    Burst,
    GateChange,
    NewHanding,
    NewKey,
    NewLease,
    NewPermit,
    NewRule,
    StationHeard,
    Withdraw,
)
from radio.ports import Iq16
from radio.process import child_environment
from settlement.core.reasons import Reason

BEAT_NS = 40_000_000
STOP_S = 3.0
APART_NS = 1_000_000_000
"""Time in ns without a message after which a warden that runs apart counts as gone."""


@dataclass(slots=True)
class Protection:
    """Bands with an incumbent, each with the time (monotonic ns) until which it stays closed."""

    hold_ns: int
    until_ns: dict[tuple[int, int], int] = field(default_factory=dict)
    since_ns: dict[tuple[int, int], int] = field(default_factory=dict)

    def found(self, band: tuple[int, int], now_ns: int) -> bool:
        """Note an incumbent; returns True when its band was open until now."""
        fresh = self.until_ns.get(band, 0) <= now_ns
        self.until_ns[band] = now_ns + self.hold_ns
        if fresh:
            self.since_ns[band] = now_ns
        return fresh

    def closed(self, now_ns: int) -> list[tuple[int, int]]:
        """Return the bands that are closed now."""
        return [band for band, until in self.until_ns.items() if now_ns < until]


def _started(config: NodeConfig, config_path: Path) -> "subprocess.Popen[bytes]":
    with (config.folder / "warden.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "agent.node.warden_process", str(config_path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A signal to the agent's process group (from a terminal, or `kill -- -GROUP`) does not end both at once.
            start_new_session=True,
            env=child_environment(),
        )


class WardenSide:
    """Process and link of this node's warden."""

    def __init__(self, config: NodeConfig, config_path: Path, protection: Protection) -> None:
        self._protection = protection
        self.receive_ring, self._send_ring = rings_of(config, create=True)
        self._process = None if config.warden.apart else _started(config, config_path)
        self.link = link_of(config, bind=False)
        self._next_beat_ns = 0
        self.listened_ns: int | None = None
        self.heard_ns: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the warden's process runs; of a warden apart, whether it sent a message lately."""
        if self._process is None:
            return self.heard_ns is not None and time.monotonic_ns() - self.heard_ns < APART_NS
        return self._process.poll() is None

    def ended_fd(self) -> int | None:
        """Descriptor that becomes readable when the warden's process ends (pidfd_open(2)); None where there is none."""
        if self._process is None or not hasattr(os, "pidfd_open"):
            return None
        with contextlib.suppress(OSError):
            return os.pidfd_open(self._process.pid)
        return None

    @property
    def next_beat_ns(self) -> int:
        """When the next heartbeat to the warden is due, monotonic."""
        return self._next_beat_ns

    @property
    def pid(self) -> int:
        """The warden's process id; 0 for a warden that runs apart."""
        return 0 if self._process is None else self._process.pid

    def beat(self, now_ns: int, *, at_once: bool = False) -> None:
        """Send a heartbeat with the closed bands, where one is due (monotonic ns) or `at_once`."""
        if now_ns < self._next_beat_ns and not at_once:
            return
        self._next_beat_ns = now_ns + BEAT_NS
        closed = self._protection.closed(now_ns)
        cause_ns = max((self._protection.since_ns[band] for band in closed), default=None)
        self.link.send(
            AgentBeat(
                said_ns=time.monotonic_ns(),
                listened_ns=self.listened_ns,
                incumbents_hz=[list(b) for b in closed],
                cause_ns=cause_ns,
            )
        )

    def permit(self, artifact: bytes) -> None:
        """Hand over a settlement for the warden to verify."""
        self.link.send(NewPermit(artifact=artifact))

    def lease(self, record: bytes) -> None:
        """Hand over a RENEW, SUSPEND or RESUME."""
        self.link.send(NewLease(record=record))

    def handing(self, sid: bytes, record: bytes) -> None:
        """Hand over a HANDOVER or a RECLAIM of a lease of this node."""
        self.link.send(NewHanding(sid=sid, record=record))

    def rule(self, record: bytes, chain: tuple[bytes, ...]) -> None:
        """Hand over a rule, with its authority's credentials."""
        self.link.send(NewRule(record=record, chain=list(chain)))

    def key(self, record: bytes) -> None:
        """Hand over the rotation of this node's own key."""
        self.link.send(NewKey(record=record))

    def withdraw(self, sid: bytes, reason: Reason, detail: str) -> None:
        """Have the warden stop using a settlement."""
        self.link.send(Withdraw(sid=sid, reason=reason.value, detail=detail, cause_ns=time.monotonic_ns()))

    def stations_heard(self, word: StationHeard) -> None:
        """Report what was heard of a base station after its end."""
        self.link.send(word)

    def burst(self, sid: bytes, iq: Iq16) -> None:
        """Offer samples to transmit."""
        self.link.send(Burst(sid=sid, ticket=self._send_ring.write(iq)))

    def stop(self) -> bool:
        """End the warden, which mutes first; returns whether it ended by itself with a silent radio.

        A warden that runs apart mutes once this agent is silent.
        """
        if self._process is None:
            return True
        self._process.terminate()
        try:
            return self._process.wait(STOP_S) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return False


def gate_fields(change: GateChange) -> dict[str, object]:
    """Return a gate change as fields for the event log."""
    return {
        "state": change.state,
        "previous": change.previous,
        "reason": change.reason,
        "clause": change.clause,
        "measured": change.measured,
        "sid": change.sid,
        "at_ns": change.at_ns,
        "cause_ns": change.cause_ns,
        "muted_ns": change.muted_ns,
        "asked": change.asked,
    }
