"""Text on a dispute, from the fields of a running node's state."""

from typing import Any


def dispute_line(one: dict[str, Any]) -> str:
    """Return one dispute as a line for people."""
    said = [
        f"dispute {one['dispute'][:12]} of {one['sid'][:12]}: {one['by']} against {one['against']}, {one['ground']}"
    ]
    said.append(f"level {one['level']}, {one['state']}")
    if one["outcome"] is not None:
        said.append(f"ruled {one['outcome']}" + (f" of {one['ordered']}" if one["ordered"] else ""))
    if one["owed"]:
        said.append(f"{one['owed']} not paid yet")
    return "; ".join(said)
