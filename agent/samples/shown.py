"""The samples door as `status` and metrics show it: open or closed and why, and the samples lost."""

from collections.abc import Iterator
from typing import Any

from agent.words.units import band_text, power_text

LOSSES = ("closed", "quiet", "underflow", "overrun", "stalled", "not_finite", "lost", "silence", "unread")


def lines(samples: dict[str, Any] | None) -> list[str]:
    """Return the state of a node's door as lines for people; none where the node has no door."""
    if samples is None:
        return []
    door = samples["door"]
    if not samples["alive"] or door is None:
        return [f"ALARM  samples: the door does not run (started {samples['starts']} times); see samples.log"]
    return [_at(door), _gate(door), _counted(door)]


def _at(door: dict[str, Any]) -> str:
    sends = "off" if door["transmit"] is None else f"{door['transmit']} ({'sending' if door['sending'] else 'nobody'})"
    reads = "off" if door["receive"] is None else f"{door['receive']} ({'reading' if door['reading'] else 'nobody'})"
    still = "" if door["streamed"] or door["receive"] is None else "; nothing received: zeros in its place"
    return f"samples {door['sample_rate_hz'] / 1e6:g} MS/s, program sends {sends}, receives {reads}{still}"


def _gate(door: dict[str, Any]) -> str:
    """Return why the program's samples are or are not transmitted."""
    gate, slot = door["gate"], door["slot"]
    if gate is None:
        return "samples dropped: the warden says nothing of its gate"
    if gate["state"] != "OPEN":
        return f"samples dropped: gate {gate['state']} {gate['reason']}".rstrip()
    band, eirp = band_text(gate["low_hz"], gate["high_hz"]), power_text(gate["eirp_mdbm"])
    share = 100 * slot["length_ns"] / slot["period_ns"]
    said = f"samples on the air in {share:.0f} % of time, {band}, at most {eirp} EIRP"
    return f"{said}; last refused: {gate['why']}" if gate["why"] else said


def _counted(door: dict[str, Any]) -> str:
    counts, gate = door["samples"], door["gate"] or {}
    lost = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in LOSSES if counts[name]) or "none"
    bursts = f"bursts {gate.get('sent', 0)} sent, {gate.get('late', 0)} late, {gate.get('refused', 0)} refused"
    return f"samples not carried: {lost}; messages malformed: {counts['malformed']}; {bursts}"


def gauges(samples: dict[str, Any] | None) -> Iterator[tuple[str, str, dict[str, str], float]]:
    """Yield name, help, labels and value of each metric; an unknown value is left out."""
    if samples is None:
        return
    door = samples["door"]
    yield "bandpact_samples_door_running", "Whether the door for a program's samples runs", {}, samples["alive"]
    if door is None:
        return
    for name, count in door["samples"].items():
        yield "bandpact_samples", "Samples by what became of them", {"fate": name}, count
    for what in ("sending", "reading"):
        yield "bandpact_samples_program", "Whether a program is there", {"does": what}, door[what]
    gate = door["gate"]
    if gate is not None:
        for name in ("sent", "late", "refused"):
            yield "bandpact_samples_bursts", "A program's bursts by what became of them", {"fate": name}, gate[name]
        dropped = gate["state"] != "OPEN"
        why = {"reason": gate["reason"] if dropped else ""}
        yield "bandpact_samples_dropped", "Whether what the program sends is dropped, and why", why, dropped
