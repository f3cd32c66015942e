"""Base stations below a node: queries the warden, and formats its answer for people."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOOR = "cbsd"


def asked(run_folder: Path) -> dict[str, Any] | None:
    """Return the warden's report on its base stations; None where it has none, or does not answer this user."""
    door = run_folder / DOOR
    if not door.exists():
        return None
    from radio.cbrs.door import WardenGiver

    giver = WardenGiver(door)
    try:
        return giver.status()
    finally:
        giver.close()


def status_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the warden's report as lines; first the worst case from a cause to RF off."""
    above = found["above"]
    yield f"worst case from a cause to RF off: {found['worst_s']:g} s; SAS above: {above or 'none'}"
    for one in found["cbsds"]:
        band = f"{one['low_hz'] / 1e6:g}-{one['high_hz'] / 1e6:g} MHz, {one['eirp_mdbm'] / 1000:g} dBm EIRP"
        back = ", given back" if one["returned"] else ""
        until = f"until {one['transmit_until']}, silent by {one['silent_by']}{back}"
        yield f"{one['device']}  grant {one['grant']}  {band}  {until}  settlement {one['settlement'][:16]}"
    for device, detail in found["heard_after"].items():
        yield f"ALARM  {device} was heard after its end: {detail}; nothing more until an operator clears it"
    for one in found.get("ears", ()):
        band = f"{one['low_hz'] / 1e6:g}-{one['high_hz'] / 1e6:g} MHz"
        if one["state"] == "ended":
            heard = one["verdict"] or "being listened to"
            why = f": {one['detail']}" if one["detail"] else ""
            yield f"{one['device']}  {band}  had to be silent {one['ended_s']:.0f} s ago, by ear: {heard}{why}"
    for reason, count in sorted(found["withheld"].items()):
        yield f"withheld {count} times: {reason}"
