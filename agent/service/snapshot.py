"""The node's state as a small file: written whole by the agent, read by whoever asks how it is."""

import json
import os
import time
from pathlib import Path
from typing import Any

FILE = "status.json"
FRESH_NS = 5_000_000_000


def write_status(folder: Path, status: dict[str, Any]) -> None:
    """Replace the state. What cannot be written is not said; the reader sees its age."""
    fresh = folder / f".{FILE}.new"
    try:
        fresh.write_text(json.dumps(status), encoding="utf-8")
        os.replace(fresh, folder / FILE)  # noqa: PTH105 - atomic
    except OSError:
        fresh.unlink(missing_ok=True)


def read_status(folder: Path) -> dict[str, Any] | None:
    """The state the agent left; None when there is none that can be read."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def age_ns(status: dict[str, Any]) -> int:
    """How old the state is, by the monotonic clock it was stamped with."""
    return time.monotonic_ns() - int(status["mono_ns"])


def problems(status: dict[str, Any] | None, *, now_ns: int | None = None) -> dict[str, str]:
    """Each part of a node that is not ready, with the reason; empty when all are."""
    if status is None:
        return {"agent": "no state on this host: it does not run, or has not begun"}
    age = (time.monotonic_ns() if now_ns is None else now_ns) - int(status["mono_ns"])
    found: dict[str, str] = {}
    if not 0 <= age <= FRESH_NS:
        found["agent"] = f"last heard {age / 1e9:.1f} s ago"
    if not status["warden"] or status["gate"] is None:
        found["radio"] = "the warden does not answer"
    elif status["gate"]["state"] == "LATCHED" or status["gate"]["reason"] == "DRIVER":
        found["radio"] = f"gate {status['gate']['state']}: {status['gate']['reason']}"
    clock = status["clock"]
    if not clock["trusted"]:
        found["clock"] = str(clock["reason"])
    if not clock["position"]["trusted"]:
        found["position"] = str(clock["position"]["reason"])
    return found
