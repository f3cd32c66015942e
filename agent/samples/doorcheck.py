"""Checks whether a node's samples door could work, without opening it."""

import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from agent.config.settings import ConfigError, NodeConfig
from agent.samples.plan import DoorPlan, door_plan

RESAMPLED_HZ_MAX = 5_000_000
"""Sample rate in Hz above which resampling takes more than half a core (39 % measured for 4 MS/s to 3.84 MS/s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorFinding:
    """The finding, and the remedy where there is a fault."""

    kind: Literal["well", "slow", "fault"]
    said: str
    mend: str = ""


def looked_at(config: NodeConfig, *, open_: bool = False) -> DoorFinding | None:
    """Return the door's check; None where none is configured. `open_`: the node runs, and its door is open."""
    try:
        plan = door_plan(config)
    except ConfigError as exc:
        return DoorFinding(kind="fault", said=str(exc), mend="see above; docs/samples.md has the rules")
    if plan is None:
        return None
    bound = {} if open_ else {"receive": plan.receive, "status": plan.status}
    for key, endpoint in bound.items():
        taken = _taken(endpoint, config.run_folder) if endpoint is not None else None
        if taken is not None:
            mend = f"free that address, or set samples.{key} to another"
            return DoorFinding(kind="fault", said=f"samples.{key}: {taken}", mend=mend)
    slow = max(plan.program_hz, plan.radio_hz)
    if plan.program_hz != plan.radio_hz and slow > RESAMPLED_HZ_MAX:
        said = f"{plan.program_hz / 1e6:g} MS/s to a radio at {plan.radio_hz / 1e6:g} MS/s: resampling may not keep up"
        return DoorFinding(kind="slow", said=said, mend="let program and radio have one rate")
    return DoorFinding(kind="well", said=_said(plan))


def _said(plan: DoorPlan) -> str:
    ways = [f"sends at {plan.transmit}" if plan.transmit else "", f"receives at {plan.receive}" if plan.receive else ""]
    share = f"on the air in at most {100 * plan.slots.share:.0f} % of time"
    return f"a program {' and '.join(way for way in ways if way)}, {plan.program_hz / 1e6:g} MS/s, {share}"


def _taken(endpoint: str, run_folder: Path) -> str | None:
    """Return why the node cannot listen at an address; None where it can. A node makes its run folder at its start."""
    url = urlsplit(endpoint)
    if url.scheme == "ipc":
        path = Path(endpoint.removeprefix("ipc://"))
        return None if path.parent == run_folder and not run_folder.exists() else _no_socket(path)
    family = socket.AF_INET6 if url.hostname and ":" in url.hostname else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((url.hostname or "", url.port or 0))
        except OSError as exc:
            return f"{endpoint}: {exc.strerror}"
    return None


def _no_socket(path: Path) -> str | None:
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        return f"{path.parent} is no folder that can be written to"
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        return f"{path} is there and is no socket"
    return None
