"""The node's state as a small file: written whole by the agent, read by commands, health checks and the page."""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from agent.words.units import band_text, power_text, time_text
from hw_profiles.leftover import clear_away
from hw_profiles.smallfile import read_small
from settlement.chain.scope import Band

FILE = "status.json"
FRESH_NS = 5_000_000_000
DISK_BYTES_MIN = 1 << 30
HEARD_AFTER = "was heard after its end"
OWN_KEY = "this node's own key"
TOO_FEW_LOOKS = "of the planned looks were taken"
SMALL_SHARE = 0.1
"""Share below which a decimal is shown."""
PARTS = ("agent", "radio", "clock", "position", "keys", "disk")


def write_status(folder: Path, status: dict[str, Any]) -> None:
    """Replace the state file. A failed write is ignored; readers see the age of the state."""
    fresh = folder / f".{FILE}.new"
    try:
        fresh.write_text(json.dumps(status), encoding="utf-8")
        os.replace(fresh, folder / FILE)  # noqa: PTH105 - atomic
    except OSError:
        clear_away(fresh)


def forget_status(folder: Path) -> None:
    """Remove the state file when the node ends."""
    clear_away(folder / FILE)


_Count = Annotated[int, Field(ge=0, lt=1 << 63)]
NOT_OURS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""Exceptions raised when a state file holds fields of another form than this program writes."""


class _Gate(BaseModel):
    state: str
    reason: str
    mono_ns: _Count


class _Place(BaseModel):
    trusted: bool
    reason: str


class _Clock(_Place):
    position: _Place


class _Status(BaseModel):
    """The fields that a state file must have to be used; it may have more."""

    mono_ns: _Count
    warden: bool
    gate: _Gate | None
    late: str | None
    worst_turn_ns: _Count | None
    clock: _Clock
    keys: str | None
    disk_free_bytes: _Count | None
    process: _Count | None = None
    alarms: list[str] = []


def read_status(folder: Path) -> dict[str, Any] | None:
    """Return the state that the agent wrote; None without one that can be read and understood."""
    found = _found_in(folder)
    return found if isinstance(found, dict) else None


def unreadable(folder: Path) -> str | None:
    """Return why an existing state file cannot be used, and the remedy; None without a file, or with a good one."""
    found = _found_in(folder)
    if found is None or isinstance(found, dict):
        return None
    return f"{folder / FILE} cannot be read: {found}; a node that runs writes it anew: start the node, or delete it"


def _found_in(folder: Path) -> dict[str, Any] | str | None:
    """Return the state that the agent wrote, or why it cannot be read; None without one."""
    try:
        text = read_small(folder / FILE)
        _Status.model_validate_json(text)
        found = json.loads(text)
    except FileNotFoundError:
        return None
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    except (ValueError, RecursionError):
        return "it is not the state of a node of this version"
    return found if isinstance(found, dict) else "it is not the state of a node of this version"


def mesh_line(mesh: dict[str, Any]) -> str:
    """Return one line on connections, connections turned away, and the limits on one neighbour."""
    limits = mesh["limits"]
    away = ", ".join(f"{count} {cause}" for cause, count in sorted(mesh["turned_away"].items())) or "nothing"
    rate = f"{limits['messages_per_s']}/s and {limits['bytes_per_s'] / 2**20:g} MiB/s each"
    found = "on" if limits["discover"] else "off"
    held = f"{mesh['connections']} of {limits['connections']} connections"
    return f"mesh   {held}, {rate}; discovery {found}; turned away: {away}"


def strangers_line(status: dict[str, Any]) -> str:
    """Return one line on what neighbours cost beyond their settlements, and the share of the disk budget in use."""
    over = (
        ", ".join(f"{count} {name}" for name, count in sorted(status["strangers"]["over_share"].items())) or "nothing"
    )
    kept, budget = status["log_bytes"], status["log_budget_bytes"]
    disk = "unknown" if kept is None else f"{kept / 1e6:.1f} MB of {budget / 1e9:.1f} GB"
    return f"shares {disk} on disk; turned away over a share: {over}; faults undone: {status['strangers']['faults']}"


def strangers_lines(status: dict[str, Any]) -> list[str]:
    """Return the line of `strangers_line` where the state has its fields, and the alarm of a disk that runs low."""
    shares = [strangers_line(status)] if "strangers" in status else []
    low = status.get("disk_low")
    return [*shares, f"ALARM  disk low: {low}"] if low else shares


def amount_text(one: dict[str, Any]) -> str:
    """Return the text of what is settled, sold or requested: a band, or an amount of another quantity in its unit."""
    unit = one.get("unit")
    if unit is None:
        return band_text(one["low_hz"], one["high_hz"])
    return str(Band(low_hz=one["low_hz"], high_hz=one["high_hz"], unit=unit))


def settlement_line(one: dict[str, Any]) -> str:
    """Return one line on a settlement in force, in CBRS terms."""
    why = f", suspended: {one['suspended_for']}" if one["suspended_for"] else ""
    band, loud = amount_text(one), one.get("eirp_mdbm") if one.get("unit") is None else None
    eirp = f", {power_text(loud)} EIRP" if loud is not None else ""
    why += f", part of {one['whole'][:12]}" if one.get("whole") else ""
    ends = f", window ends {clock_text(one['window_end_ns'])}" if one.get("window_end_ns") else ""
    lease = f", lease until {clock_text(one['lease_until_ns'])}" if one.get("lease_until_ns") else ""
    return f"grant  {one['settlement'][:12]} {one['state']} as {one['role']}, {band}{eirp}{ends}{lease}{why}"


def auction_line(one: dict[str, Any]) -> str:
    """Return one line on an auction: what is sold by whom, its state, winner and price."""
    if "low_hz" not in one:
        return f"auction {one['auction'][:12]} {one['state']}"
    band, bids = amount_text(one), len(one["bids"])
    votes = f", {one['votes']} votes of {one['required']} required"
    sold = f", won by {one['winner']} at {one['price']}" if one["winner"] else ""
    sold += f", owes {one['forfeit']} if it never asks" if one.get("forfeit") else ""
    nobody = ", no bid reached the reserve" if one["state"] == "decided" and not one["winner"] else ""
    due = {"bidding": "bids_by_ns", "revealing": "reveals_by_ns"}.get(one["state"], "vote_by_ns")
    until = f" until {clock_text(one[due])}" if one["state"] not in ("decided", "void") else ""
    return (
        f"auction {one['auction'][:12]} {one['state']}{until}, {band} by {one['by']}, {bids} bids{votes}{sold}{nobody}"
    )


def approval_line(one: dict[str, Any]) -> str:
    """Return one line on a REQUEST that a group must approve: holder, user, what is requested, votes, outcome."""
    if "low_hz" not in one:
        return f"approval {one['approval'][:12]} {one['state']}"
    band, until = amount_text(one), ""
    if one["state"] == "voting":
        until = f" until {clock_text(one['vote_by_ns'])}"
    votes = f"{one['votes_for']} for, {one['votes_against']} against of {one['required']} required"
    enough = one["function"] if not one["need"] else f"{one['function']}, {one['need']}"
    own = f", voted {one['own_vote']} here" if one["own_vote"] else ""
    ended = {"decided": ", approved", "void": ", not approved in time"}.get(one["state"], "")
    back = ", taken back" if one.get("taken_back") and one["state"] == "decided" else ""
    granted = (", granted" if one["granted"] else "") + back
    who = f"{one['user']} asks {one['holder']}"
    return (
        f"approval {one['approval'][:12]} {one['state']}{until}, {band}: {who}; {one['group']} ({enough}): "
        f"{votes}{own}{ended}{granted}"
    )


def clock_text(utc_ns: int) -> str:
    """Return a time of day in UTC, such as `12:00:10.250Z`."""
    return time.strftime("%H:%M:%S", time.gmtime(utc_ns // 10**9)) + f".{utc_ns // 10**6 % 1000:03d}Z"


def gate_now(status: dict[str, Any], now_ns: int) -> tuple[str, str]:
    """Return state and reason of the gate now; a state that is out of date is shown as unknown."""
    gone = dead(status, now_ns)
    gate = status["gate"]
    if gone is not None or not status["warden"] or gate is None or status["late"] is not None:
        why = gone or ("the warden does not run" if not status["warden"] else None)
        why = why or status["late"] or "the radio does not answer yet"
        was = f"; last seen {gate['state']}" if gate is not None else ""
        return "UNKNOWN", f"treat as ON: {why}{was}"
    return gate["state"], gate["reason"]


def dead(status: dict[str, Any], now_ns: int) -> str | None:
    """Return why the state is out of date (the agent is gone, or hangs); None where it is fresh."""
    age_ns = now_ns - int(status["mono_ns"])
    process = status.get("process")
    if isinstance(process, int) and not Path(f"/proc/{process}").exists():
        return f"the agent (process {process}) is dead, last heard {age_ns / 1e9:.1f} s ago"
    return None if 0 <= age_ns <= FRESH_NS else f"last heard {age_ns / 1e9:.1f} s ago"


def armed_text(status: dict[str, Any], now_ns: int) -> str:
    """Return for how long the operator has armed the node."""
    until_ns = status.get("armed_until_mono_ns")
    left_s = 0 if until_ns is None else (int(until_ns) - now_ns) // 10**9
    return f"armed for {time_text(left_s)} more" if left_s > 0 else "not armed"


def share_text(full: list[float]) -> str:
    """Return a channel's occupancy as an interval; a channel that is briefly busy is not shown as 0 %."""
    low, high = (f"{100 * one:.1f}" if 0 < one < SMALL_SHARE else f"{100 * one:.0f}" for one in full)
    return f"{low}-{high} %"


def channel_line(one: dict[str, Any]) -> str:
    """Return one line on a channel as sensed."""
    full = one["occupancy"]
    how = "" if full is None else f", {share_text(full)} full"
    word = "not known" if one["state"] == "unknown" else one["state"]
    return f"heard  {band_text(one['low_hz'], one['high_hz'])} {word}{how}"


def neighbour_line(one: dict[str, Any], now_ns: int) -> str:
    """Return one line on a neighbour, and when it was last heard."""
    heard_ns = one["heard_mono_ns"]
    heard = "not heard yet" if heard_ns is None else f"heard {(now_ns - int(heard_ns)) / 1e9:.1f} s ago"
    return f"peer   {one['name']} {heard}"


def problems(status: dict[str, Any] | None, *, now_ns: int | None = None) -> dict[str, str]:
    """Return each part of a node that is not ready, with the reason; empty when all are."""
    if status is None:
        return {"agent": "no state on this host: it does not run, or has not begun"}
    gone = dead(status, time.monotonic_ns() if now_ns is None else now_ns)
    clock, free = status["clock"], status["disk_free_bytes"]
    found = {
        "agent": gone,
        "radio": _radio(status),
        "clock": None if clock["trusted"] else str(clock["reason"]),
        "position": None if clock["position"]["trusted"] else str(clock["position"]["reason"]),
        "keys": status["keys"] or next((a for a in status.get("alarms", ()) if a.startswith(OWN_KEY)), None),
        "disk": _disk(free),
    }
    return {part: reason for part, reason in found.items() if reason is not None}


def _radio(status: dict[str, Any]) -> str | None:
    gate = status["gate"]
    if not status["warden"]:
        return "the warden does not run"
    if gate is None:
        return "the radio does not answer: the warden waits for it"
    if status["late"] is not None:
        return str(status["late"])
    if gate["state"] == "LATCHED" or gate["reason"] == "DRIVER":
        return f"gate {gate['state']}: {gate['reason']}"
    return None


def _disk(free: int | None) -> str | None:
    if free is None:
        return "the node's folder cannot be looked at"
    if free < DISK_BYTES_MIN:
        return f"{free / 1e9:.2f} GB free, {DISK_BYTES_MIN / 1e9:.2f} GB required"
    return None
