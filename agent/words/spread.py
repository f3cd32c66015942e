"""How measured values spread, said no surer than their number allows."""

from collections.abc import Sequence
from typing import Final

import numpy as np

FEWEST: Final = 20
"""A percentile of fewer values would be one of the values themselves, dressed up."""


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Number, smallest, median and largest of some values, rounded; percentiles only where there are enough of them.

    None stands for what was not measured, or cannot be said of so few.
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
    """The spread in words."""
    if not found["count"]:
        return "not measured"
    if found["p99"] is None:
        middle = f"min {found['min']:g}, median {found['median']:g}, max {found['max']:g} {unit}"
        return f"{middle} of {found['count']}" if found["count"] != 1 else f"{found['max']:g} {unit}, once"
    return f"p50 {found['p50']:g}, p99 {found['p99']:g}, max {found['max']:g} {unit} of {found['count']}"
