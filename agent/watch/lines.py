"""Text lines of the terminal view: pure, from a snapshot in the form of the page's API."""

import time
from typing import Any

from agent.cbrs.shown import status_lines
from agent.page.live import boxes_of
from agent.service.snapshot import approval_line, auction_line, share_text
from agent.timekeeping.shown import duration
from agent.timekeeping.shown import line as clock_line
from agent.words.disputes import dispute_line
from agent.words.handovers import handover_line, jurisdiction_line
from agent.words.units import band_text, degrees_text, power_text
from hw_profiles.printable import printable
from settlement.chain.scope import Band

RAMP = " .:-=+*#%@"
TITLES = {
    "OPEN": "MAY TRANSMIT",
    "UNKNOWN": "UNKNOWN: treat as ON",
    "LATCHED": "SILENT, latched",
    "LOCKED": "SILENT, not armed",
    "ARMED": "SILENT",
}
STALE_MS = 2000
Row = tuple[str, ...]


def is_stale(snapshot: dict[str, Any], waited_ms: float) -> bool:
    """Return whether the shown state is out of date."""
    age = snapshot["age_ms"]
    return age is None or age + waited_ms > STALE_MS


def why_lines(snapshot: dict[str, Any], *, stale: bool) -> list[str]:
    """Return why the radio is silent: title, meaning, values, remedy."""
    why = snapshot["silence"]
    if stale and why["state"] == "UNKNOWN" and snapshot["age_ms"] is not None:
        return [TITLES["UNKNOWN"], why["meaning"], "", f"do: k; {why['mend']}"]
    if stale:
        age = snapshot["age_ms"]
        heard = "nothing heard from the node yet" if age is None else f"nothing heard for {age / 1000:.1f} s"
        mend = "k, or `bandpact stop`, or take the power away"
        return [TITLES["UNKNOWN"], heard, "", f"do: {mend}"]
    title = f"{TITLES.get(why['state'], why['state'])}{': ' + why['reason'] if why['reason'] else ''}"
    values = f"{why['clause']}  measured {why['measured'] or '-'}  required {why['required'] or '-'}"
    meaning = f"{why['meaning']}; {why['before']}" if why.get("before") else why["meaning"]
    return [title, meaning, values if why["clause"] else "", f"do: {why['mend']}" if why["mend"] else ""]


def head_line(snapshot: dict[str, Any], *, stale: bool) -> str:
    """Return one line: node, simulation or real radio, time, age of the snapshot."""
    found = snapshot["status"]
    if found is None:
        return "waiting for the node"
    kind = "SIMULATION" if found["simulation"] else "REAL RADIO"
    utc = time.strftime("%H:%M:%SZ", time.gmtime((snapshot["utc_ns"] or 0) / 1e9))
    age = f"{'STALE' if stale else 'LIVE'} {snapshot['age_ms'] / 1000:.1f} s"
    return printable(f"{found['node']}  {kind}  {utc}  {age}")


def left_text(ns: int) -> str:
    """Return a remaining time as text."""
    seconds = ns // 10**9
    if seconds < 60:
        return f"{ns / 1e9:.1f} s"
    return (
        f"{seconds // 60} min {seconds % 60} s" if seconds < 3600 else f"{seconds // 3600} h {seconds // 60 % 60} min"
    )


def market_rows(status: dict[str, Any], now_ns: int) -> list[Row]:
    """Return settlements, then offers: state, side, band, EIRP, time left."""
    rows: list[Row] = []
    for one in sorted(boxes_of(status), key=lambda box: box["kind"] == "offer"):
        start, end = one["start_ns"], one["end_ns"]
        left = f"in {left_text(start - now_ns)}" if start and start > now_ns else left_text(max(0, end - now_ns))
        power = "-" if one["eirp_mdbm"] is None or one["unit"] else power_text(one["eirp_mdbm"])
        who = one["by"] or one["role"]
        band = Band(low_hz=one["low_hz"], high_hz=one["high_hz"], unit=one["unit"])
        rows.append(
            (one["state"], who, str(band) if band.unit else band_text(one["low_hz"], one["high_hz"]), power, left)
        )
    return [tuple(map(printable, row)) for row in rows]


def channel_rows(status: dict[str, Any]) -> list[Row]:
    """Return each channel's band, state, occupancy and noise floor; an unsensed channel is marked."""
    rows: list[Row] = []
    for one in status["channels"]:
        full = one["occupancy"]
        how = "not sensed" if full is None else share_text(full)
        floor = one.get("floor_db")
        level = "unknown" if floor is None else f"{floor:.1f} {one['floor_unit']}"
        word = "not sensed" if one["state"] == "unknown" else one["state"]
        rows.append((band_text(one["low_hz"], one["high_hz"]), word, how, level))
    return rows


def neighbour_rows(status: dict[str, Any], now_mono_ns: int) -> list[Row]:
    """Return each neighbour's name, last contact, the head seen of its log, how much of ours it witnessed."""
    heard = {one["name"]: one["heard_mono_ns"] for one in status["neighbours"]}
    rows: list[Row] = []
    for one in status["places"]:
        if one["own"]:
            continue
        at = heard.get(one["name"])
        ago = "never" if at is None else f"{(now_mono_ns - at) / 1e9:.1f} s ago"
        head = "not seen" if one["their_head"] is None else f"{one['their_head']['size']}"
        rows.append((printable(one["name"]), ago, head, str(one["witnessed_size"])))
    return rows


def node_lines(snapshot: dict[str, Any]) -> list[str]:
    """Return clock, place, log, disk, and the parts that are not ready."""
    status = snapshot["status"]
    clock, log = status["clock"], status["log"]
    place = clock["position"]
    here = degrees_text(place["lat_deg"], place["lon_deg"])
    lines = [
        clock_line(clock),
        f"place {here} ± {place['radius_mm'] / 1000:.1f} m, {place['reason']}",
        *(
            f"source {one['name']}: {one['standing']}, {duration(one['bound_ns'])}, age {duration(one['age_ns'])}"
            for one in clock["sources"]
        ),
    ]
    if log is not None:
        lines.append(
            f"log   {log['size']} records, head {log['root'][:16]}, {log['witness_quorum']} witnesses required"
        )
    kept, budget = status["log_bytes"], status["log_budget_bytes"]
    lines.append(f"disk  {'unknown' if kept is None else f'{kept / 1e6:.1f} MB'} of {budget / 1e6:.0f} MB")
    lines += [f"ALARM {one}" for one in status["alarms"]]
    lines += [f"not ready: {part}: {why}" for part, why in snapshot["problems"].items()]
    lines += market_lines(snapshot)
    return [printable(line) for line in lines]


def market_lines(snapshot: dict[str, Any]) -> list[str]:
    """Return market activity, jurisdictions and base stations in the words of `bandpact status`."""
    status, below = snapshot["status"], snapshot["base_stations"]
    return [
        *map(auction_line, status.get("auctions", [])),
        *map(approval_line, status.get("approvals", [])),
        *map(handover_line, status.get("handovers", [])),
        *map(dispute_line, status.get("disputes", [])),
        *map(jurisdiction_line, status.get("jurisdictions", [])),
        *(f"base stations: {one}" for one in ([] if below is None else status_lines(below))),
    ]


def event_rows(events: list[dict[str, Any]], utc_ns: int, mono_ns: int, most: int = 30) -> list[Row]:
    """Return the events, latest first: time of day, name, fields."""
    rows: list[Row] = []
    for one in list(reversed(events))[:most]:
        at = time.strftime("%H:%M:%S", time.gmtime((utc_ns - (mono_ns - one["mono_ns"])) / 1e9))
        rest = ", ".join(
            f"{key} {value}"
            for key, value in one.items()
            if key not in ("mono_ns", "event", "node", "sid") and not key.endswith("_ns") and value not in ("", None)
        )
        rows.append((at, printable(one["event"]), printable(rest)[:160]))
    return rows


def fall_line(codes: bytes, width: int, low: int, high: int) -> str:
    """Return a waterfall row as characters, the strongest of each group of bins; `?` where nothing was sensed."""
    out = []
    for x in range(width):
        first = x * len(codes) // width
        most = max(codes[first : max(first + 1, (x + 1) * len(codes) // width)], default=0)
        place = (most - low) * (len(RAMP) - 1) // max(1, high - low)
        out.append("?" if most == 0 else RAMP[min(len(RAMP) - 1, max(0, place))])
    return "".join(out)
