"""Text on why a radio is silent: the clause, the measured value, and the remedy."""

import re
import time
from collections.abc import Iterable
from typing import Any

GATE = {
    "DRIVER": ("The radio's driver reports a fault", "check cable and power of the radio, then `bandpact doctor`"),
    "LATCHED": (
        "A stop or a fault keeps the gate shut",
        "when it is safe: `bandpact tx clear NODE`, then `bandpact tx arm NODE --for 10min`",
    ),
    "NOT_ARMED": ("Nobody has armed the transmitter", "`bandpact tx arm NODE --for 10min`"),
    "NO_PERMIT": ("No settlement permits it now", "`bandpact acquire BAND --for TIME`, or wait for its window"),
    "BINDING": ("The settlement is for another radio", "use the radio that the credential names, or ask for a new one"),
    "SUSPENDED": ("The holder has paused the lease", "wait for the holder to resume it"),
    "PREEMPTED": ("A higher tier has taken the spectrum", "wait, or acquire another band"),
    "RELINQUISHED": ("The settlement was given back", "`bandpact acquire BAND --for TIME`"),
    "REVOKED": ("A credential was withdrawn", "ask the trial coordinator for a new credential"),
    "TIME_UNTRUSTED": (
        "The clock is not known well enough",
        "`bandpact doctor`: give it a better time source, or wait",
    ),
    "TIME_UNDECIDED": (
        "The clock cannot tell on which side of a limit it is",
        "wait a moment, or bound the clock better",
    ),
    "NOT_YET": ("The window has not begun", "wait for its start"),
    "EXPIRED": ("The window is over, or too short to fall silent in", "`bandpact acquire BAND --for TIME`"),
    "LEASE": ("The transmit lease has run out", "see that the holder is reachable: it renews the lease"),
    "POSITION_UNTRUSTED": (
        "The position is not known well enough",
        "wait for a GPS fix, or survey the antenna's place",
    ),
    "SPATIAL_OUTSIDE": ("The antenna is outside the area", "go back inside the area, or acquire spectrum here"),
    "SPATIAL_UNDECIDED": ("The position's error reaches over the area's edge", "bound the position better, or move in"),
    "BAND": (
        "The radio is not tuned inside the permitted band",
        "wait: it is tuned before it opens; else `bandpact doctor`",
    ),
    "HEARTBEAT": ("The agent has gone silent", "look at the agent: `bandpact status`, and its log"),
    "SENSING_STALE": ("Sensing is too old to vouch for the band", "see that the receiver delivers: `bandpact doctor`"),
    "INCUMBENT": ("An incumbent is in the band", "wait until it has been silent for the protection time"),
    "OUTSIDE_AUTHORISATION": ("An authorisation from outside is missing", "see that its authority is reachable"),
    "FAULT": ("A fault of this program", "`bandpact doctor`, and report it"),
}
CAME_TO = {
    "ended": "its settlement {sid} ended at {at}",
    "refused": "its request {sid} was refused at {at}",
    "aborted": "its request {sid} came to nothing at {at}",
}
"""Text on the last settlement or request, by the event that ended it."""
ASKED = frozenset({"requested", "accepted"})
REASONS = {
    "INCUMBENT": "a radar or another incumbent was heard in the band",
    "CONFLICT": "another has that band",
    "TIMEOUT": "no answer came in time",
    "REVOKED": "a credential was taken back",
}
ELSEWHERE = (
    "`bandpact acquire BAND` for another band, or wait until the incumbent has been silent for the protection time"
)
UNKNOWN_MEND = "treat as ON: `bandpact stop`, or take the power away; then {then}"
AFTERWARDS = (
    ("the warden does not run", "start it again: `bandpact run`, or the service `bandpact-warden`"),
    ("the radio does not answer yet", "see that the radio has power and its cable, and `bandpact doctor`"),
    ("the agent", "start the node again: `bandpact run`, or the service `bandpact`"),
    ("last heard", "see whether the node still runs: `bandpact status`"),
    ("", "`bandpact doctor`"),
)
"""Advice for an unknown state, once the radio is certainly silent, by the beginning of the cause."""
_NS = re.compile(r"(?<![\w.])(-?\d{4,})\s?ns\b")
_BAND = re.compile(r"Band\(low_hz=(\d+), high_hz=(\d+)\)")
_UTC_FROM_NS = 10**18


def _readable(match: re.Match[str]) -> str:
    value = int(match[1])
    if value >= _UTC_FROM_NS:
        return time.strftime("%H:%M:%S", time.gmtime(value // 10**9)) + f".{value // 10**6 % 1000:03d}Z"
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if abs(value) >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value} ns"


def readable(text: str) -> str:
    """Return a measured or required value in readable form: times of day, ms for thousands of us, MHz."""
    text = _BAND.sub(lambda m: f"{int(m[1]) / 1e6:g}–{int(m[2]) / 1e6:g} MHz", text)
    return _NS.sub(_readable, text)


def before_it(events: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return how this node's last settlement or request ended, from its events, newest last; empty without one.

    A gate without a permit says only that there is none; this adds when and why, and for an incumbent the remedy.
    Requests by other nodes are not considered.

    Returns: `before`, and `mend` where there is a better one than that of the gate's reason.
    """
    known = list(events)
    mine = {one.get("sid") for one in known if one["event"] in ASKED}
    for one in reversed(known):
        if one["event"] in CAME_TO and one.get("sid") in mine and one.get("at_ns"):
            at = time.strftime("%H:%M:%SZ", time.gmtime(int(one["at_ns"]) / 1e9))
            what = CAME_TO[one["event"]].format(sid=str(one["sid"])[:8], at=at)
            why = str(one.get("reason") or "")
            cause = why.rpartition(": ")[2]
            said = f"{what}: {why}" + (f", {REASONS[cause]}" if cause in REASONS else "") if why else what
            return {"before": said} | ({"mend": ELSEWHERE} if cause == "INCUMBENT" else {})
    return {}


def silence(state: str, gate: dict[str, Any] | None, why: str = "") -> dict[str, Any]:
    """Return what keeps the radio silent: `state` as from `gate_now`, `gate` the warden's last report.

    Args: why: for an UNKNOWN state, the cause from `gate_now`.
    Returns: state, silent (None where nobody can tell), reason, clause, measured, required, meaning, mend.
    """
    said = gate or {}
    reason = str(said.get("reason") or "")
    measured, required = (readable(str(said.get(key) or "")) for key in ("measured", "required"))
    told = {"state": state, "silent": True, "reason": "", "clause": "", "measured": "", "required": "", "mend": ""}
    if state == "UNKNOWN":
        cause = why.removeprefix("treat as ON: ")
        then = next(then for begins, then in AFTERWARDS if cause.startswith(begins))
        meaning = "Nobody can tell whether it transmits" + (f": {cause}" if cause else "")
        return {**told, "silent": None, "meaning": meaning, "mend": UNKNOWN_MEND.format(then=then)}
    if state == "OPEN":
        return {**told, "silent": False, "meaning": "The gate is open: it may transmit"}
    if not reason and state == "ARMED":
        return {**told, "meaning": "Every condition holds; the gate opens in its next turn"}
    meaning, mend = GATE.get(reason, ("The gate is shut", "`bandpact doctor`"))
    clause = str(said.get("clause") or "")
    words = {"reason": reason, "clause": clause, "measured": measured, "required": required}
    return {**told, **words, "meaning": meaning, "mend": mend}
