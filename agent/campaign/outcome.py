"""What came of one run: a row for the table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PASSED, FAILED, ERROR = "passed", "failed", "error"
"""It held; it ran and something did not hold; it could not be run, which says nothing of what it asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """Of one run: how it ended and why, what it took, where it ran, and every number it gave."""

    key: str
    outcome: str
    why: str
    took_s: float
    host: str
    figures: dict[str, float] = field(default_factory=dict)


def figures_of(found: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a result by the keys that lead to it, truth as 0 and 1; lists and texts are left out."""
    for name, value in found.items():
        key = f"{under}{name}"
        if isinstance(value, bool | int | float):
            yield key, float(value)
        elif isinstance(value, Mapping):
            yield from figures_of(value, f"{key}.")
