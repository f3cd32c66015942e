"""Result of one run, as a row of the table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PASSED, FAILED, ERROR = "passed", "failed", "error"
"""passed: the run held; failed: it ran and something did not hold; error: it could not be run, which proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """One run's outcome with reason, duration, machine, and every number of its result."""

    key: str
    outcome: str
    why: str
    took_s: float
    host: str
    figures: dict[str, float] = field(default_factory=dict)


def figures_of(found: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of a result with its path of keys, booleans as 0 and 1; lists and texts are left out."""
    for name, value in found.items():
        key = f"{under}{name}"
        if isinstance(value, bool | int | float):
            yield key, float(value)
        elif isinstance(value, Mapping):
            yield from figures_of(value, f"{key}.")
