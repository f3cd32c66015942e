"""State of a running node for its status file, health checks and watchdog; may be read from any thread."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from stat import S_ISREG
from typing import Any

from agent.config.settings import NodeConfig
from agent.service.snapshot import DISK_BYTES_MIN, forget_status, write_status
from agent.timekeeping.keeper import Timekeeper
from agent.timekeeping.shown import plain
from radio.link import WardenBeat
from sensing.results import ChannelState, SurveyReport
from sensing.values import LevelDb
from settlement.chain.credentials import Subject
from settlement.core.fixes import TimeFix
from settlement.mesh import Mesh
from settlement.party.party import Party

TELL_NS = 1_000_000_000
AGENT_LATE_NS = 5_000_000_000
LOW_PERCENT = 80
"""Percentage of the disk budget at which strangers get less of the log and the node's state warns."""
LOW_FREE_BYTES = 4 * DISK_BYTES_MIN
GATE_LATE_NS = 1_000_000_000
"""Time in ns since the last heartbeat, or for one loop turn, beyond which the gate loop is late."""


@dataclass(slots=True)
class Vitals:
    """What the agent's loop records of itself; `told` is the last whole state, replaced and never changed."""

    config: NodeConfig
    turn_ns: int | None = None
    beat: WardenBeat | None = None
    beat_ns: int | None = None
    told: dict[str, Any] | None = None
    disk_low: str | None = None
    """Why the disk, or this node's budget on it, is running low; None while it is not."""
    log_bytes: int | None = None
    _run_folder_lost: bool = False
    _next_ns: int = 0

    def heard(self, beat: WardenBeat, now_ns: int) -> None:
        """Note a heartbeat of the warden."""
        self.beat, self.beat_ns = beat, now_ns

    def lateness(self, now_ns: int) -> str | None:
        """Return why agent or gate loop is late; None when neither is. A warden still without its radio is not late."""
        if self.turn_ns is None or now_ns - self.turn_ns > AGENT_LATE_NS:
            return "the agent's loop does not turn"
        if self.beat is None or self.beat_ns is None:
            return None
        if now_ns - self.beat_ns > GATE_LATE_NS:
            return f"the gate loop was last heard {(now_ns - self.beat_ns) / 1e9:.1f} s ago"
        if self.beat.worst_turn_ns > GATE_LATE_NS:
            return f"the gate loop took {self.beat.worst_turn_ns / 1e9:.1f} s for a turn"
        return None

    def line(self) -> str:
        """Return in a few words what the node does."""
        if self.beat is None:
            return "waiting for the radio"
        return f"gate {self.beat.state} {self.beat.reason}".strip()

    def due(self, now_ns: int) -> bool:
        """Note a turn of the agent's loop; returns whether the state is to be written again."""
        self.turn_ns = now_ns
        return now_ns >= self._next_ns

    def tell(
        self,
        now_ns: int,
        *,
        alive: bool,
        clock: Timekeeper,
        keys: str | None,
        grants: list[dict[str, Any]],
        mesh: dict[str, Any],
        peers: list[dict[str, Any]],
        channels: list[dict[str, Any]],
        alarms: list[str],
        strangers: dict[str, Any],
        panels: dict[str, Any],
        lists: list[dict[str, Any]],
        samples: dict[str, Any] | None = None,
        disputes: list[dict[str, Any]] | None = None,
    ) -> None:
        """Write the state where `bandpact status`, health checks and metrics read it."""
        self._next_ns = now_ns + TELL_NS
        beat = self.beat
        self.told = {
            "node": self.config.name,
            "simulation": not self.config.radio.real,
            "process": os.getpid(),
            "armed_until_mono_ns": None if beat is None else beat.armed_until_ns,
            "neighbours": peers,
            "channels": channels,
            "alarms": alarms,
            "mono_ns": now_ns,
            "warden": alive,
            "gate": None if beat is None else gate_said(beat, self.beat_ns),
            "worst_turn_ns": None if beat is None else beat.worst_turn_ns,
            "late": self.lateness(now_ns),
            "clock": plain(clock.state()),
            "keys": keys,
            "disk_free_bytes": _free(self.config),
            "log_bytes": self.log_bytes,
            "log_budget_bytes": self.config.shares.disk_bytes,
            "disk_low": self.disk_low,
            "strangers": strangers,
            "status_lists": lists,
            "samples": samples,
            "peers": len(self.config.peers),
            "settlements": grants,
            "disputes": disputes or [],
            "mesh": mesh,
            "level": level_fields(self.config),
            **panels,
        }
        write_status(self.config.run_folder, self.told)

    def look_at_disk(self) -> str | None:
        """Return, and note, why the disk is running low: the node's folder is near its budget, or little is free."""
        budget = self.config.shares.disk_bytes
        self.log_bytes, free = _size(self.config.folder, self.log_bytes or 0), _free(self.config)
        self.disk_low = None
        if self.log_bytes * 100 >= budget * LOW_PERCENT:
            self.disk_low = f"{self.log_bytes / 1e9:.2f} GB kept of a budget of {budget / 1e9:.2f} GB"
        elif free is not None and free < LOW_FREE_BYTES:
            self.disk_low = f"{free / 1e9:.2f} GB free, below {LOW_FREE_BYTES / 1e9:.2f} GB"
        return self.disk_low

    def lost_run_folder(self) -> bool:
        """Return whether the run folder is missing since this check: no program can reach the node's sockets."""
        before = self._run_folder_lost
        try:
            self._run_folder_lost = not self.config.run_folder.is_dir()
        except OSError:  # the folder may not be read any more, or its disk does not answer
            self._run_folder_lost = True
        return self._run_folder_lost and not before

    def end(self) -> None:
        """Remove the state file: the node ends."""
        self.told = None
        forget_status(self.config.run_folder)


def gate_said(beat: WardenBeat, heard_ns: int | None) -> dict[str, Any]:
    """Return the gate's state by the warden's last heartbeat, with the clause that keeps it shut and its values."""
    return {
        "state": beat.state,
        "reason": beat.reason,
        "clause": beat.clause,
        "measured": beat.measured,
        "required": beat.required,
        "settlement": None if beat.sid is None else beat.sid.hex(),
        "bursts": beat.bursts,
        "mono_ns": heard_ns,
    }


def _free(config: NodeConfig) -> int | None:
    try:
        return shutil.disk_usage(config.folder).free
    except OSError:
        return None


def _size(folder: Path, before: int) -> int:
    """Return the bytes of the files directly in a node's folder: log, files beside it, events.

    Returns `before` where the folder cannot be listed: strangers' connections may hold all of a process's descriptors.
    """
    total = 0
    try:
        paths = list(folder.iterdir())
    except OSError:
        return before
    for path in paths:
        with suppress(OSError):
            held = path.stat()
            total += held.st_size if S_ISREG(held.st_mode) else 0
    return total


def strangers_fields(party: Party) -> dict[str, Any]:
    """Return what neighbours cost: messages over their share, by share, and faults that were undone."""
    return {"over_share": party.shares.counted(), "faults": party.faults}


def list_fields(party: Party) -> list[dict[str, Any]]:
    """Return the newest status list of each issuer: name, version, and end of validity (UTC ns)."""
    subjects = party.registry.subjects()
    held = ((one.name, party.status.held(one.hash)) for one in subjects)
    return [
        {"issuer": name, "version": one.body.version, "fresh_until_ns": one.body.fresh_until_ns}
        for name, one in held
        if one is not None
    ]


def key_fault(me: Subject, now: TimeFix, halted: object) -> str | None:
    """Return why this node cannot sign anything that a peer accepts; None when it can, or the clock is not trusted."""
    if halted is not None:
        return f"halted: {halted}"
    if not now.trusted:
        return None
    refusal = me.valid_at(now)
    return None if refusal is None else f"credential {refusal}"


def mesh_fields(config: NodeConfig, mesh: Mesh) -> dict[str, Any]:
    """Return connections to this node, connections turned away by cause, and the limits in force."""
    return {
        "connections": mesh.connections,
        "turned_away": {cause: count for cause, count in mesh.denied.items() if count},
        "limits": config.mesh.model_dump(),
    }


def peer_fields(config: NodeConfig, heard_ns: dict[str, int]) -> list[dict[str, Any]]:
    """Return every configured neighbour, and when it was last heard (monotonic ns); None where never."""
    return [{"name": peer.name, "heard_mono_ns": heard_ns.get(peer.name)} for peer in config.peers]


def level_fields(config: NodeConfig) -> dict[str, Any]:
    """Return the offset in dB that converts a level in dBFS to `unit`; 0 dB and dBFS/Hz without a calibration."""
    offset_mdb = config.radio.rx_full_scale_mdbm
    known = offset_mdb is not None
    return {"offset_db": (offset_mdb or 0) / 1000, "unit": "dBm/Hz" if known else "dBFS/Hz"}


def _floor(level: LevelDb) -> dict[str, Any]:
    """Return a channel's noise floor with its standard error; None where it is unknown."""
    known = isfinite(level.value) and isfinite(level.sd)
    return {
        "floor_db": round(level.value, 2) if known else None,
        "floor_sd_db": round(level.sd, 2) if known else None,
        "floor_unit": level.unit,
    }


def channel_fields(report: SurveyReport) -> list[dict[str, Any]]:
    """Return each channel's state, with the interval of its occupancy."""
    return [
        {
            "low_hz": int(one.channel.low_hz),
            "high_hz": int(one.channel.high_hz),
            "state": one.state.value,
            "occupancy": None if one.state is ChannelState.UNKNOWN else [one.occupancy.low, one.occupancy.high],
            **_floor(one.noise_floor),
        }
        for one in report.channels
    ]
