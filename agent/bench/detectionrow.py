"""One line of the detection table."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRow:
    """One line of the table: what was counted, what theory or requirement says, and the 95 % binomial interval."""

    group: str
    condition: str
    expected: float | None
    found: float
    low: float
    high: float
    trials: int
    x: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
