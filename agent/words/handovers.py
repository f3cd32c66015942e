"""Text on leases handed on and on jurisdictions, from the fields of a running node's state."""

from typing import Any

from agent.words.units import band_text, length_text, place_text, power_text


def handover_line(one: dict[str, Any]) -> str:
    """Return one handed-on lease as a line for people."""
    band, loud = band_text(one["low_hz"], one["high_hz"]), power_text(one["eirp_mdbm"])
    why = f": {one['why']}" if one["why"] else ""
    child = f", {one['child'][:12]}" if one["child"] else ""
    return (
        f"{one['kind']} of {one['settlement'][:12]} by {one['by']} to {one['to']}, {band}, {loud} EIRP; "
        f"{one['stage']}{why}{child}"
    )


def where_text(area: dict[str, Any]) -> str:
    """Return an area as text from its plain values in degrees and metres."""
    if "outline" in area:
        return f"an outline of {len(area['outline'])} corners"
    place = place_text(round(area["lat_deg"] * 1e7), round(area["lon_deg"] * 1e7))
    return f"within {length_text(area['radius_m'] * 1000)} of {place}"


def jurisdiction_line(one: dict[str, Any]) -> str:
    """Return one jurisdiction of the rule in force as a line for people."""
    loud = ", ".join(f"{terms['commodity']} {power_text(terms['max_eirp_mdbm'])}" for terms in one["classes"])
    policy = one["reconciliation"] or "no policy with neighbours"
    touched = f", {len(one['settlements'])} settlements of this node" if one["settlements"] else ""
    return f"jurisdiction {one['name']} ({one['clause']}), {where_text(one['area'])}, at most {loud}; {policy}{touched}"
