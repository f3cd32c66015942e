"""Summary of measured values, with no percentile that their number does not support."""

from collections.abc import Sequence
from typing import Final

import numpy as np

FEWEST: Final = 20
"""Fewest values for a percentile: with fewer it would be just one of the values."""


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Return number, smallest, median and largest of the values, rounded; percentiles only of at least FEWEST values.

    None stands for what was not measured, or cannot be said of so few values.
    """
    if not values:
        return {"count": 0, "min": None, "median": None, "p50": None, "p99": None, "max": None}
    p50, p99 = (round(float(one), 3) for one in np.percentile(values, [50, 99]))
    enough = len(values) >= FEWEST
    return {
        "count": len(values),
        "min": round(min(values), 3),
        "median": p50,
        "p50": p50 if enough else None,
        "p99": p99 if enough else None,
        "max": round(max(values), 3),
    }


def spread_text(found: dict[str, float | int | None], unit: str = "ms") -> str:
    """Return the summary as text."""
    if not found["count"]:
        return "not measured"
    if found["p99"] is None:
        middle = f"min {found['min']:g}, median {found['median']:g}, max {found['max']:g} {unit}"
        return f"{middle} of {found['count']}" if found["count"] != 1 else f"{found['max']:g} {unit}, once"
    return f"p50 {found['p50']:g}, p99 {found['p99']:g}, max {found['max']:g} {unit} of {found['count']}"
