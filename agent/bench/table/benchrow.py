"""One line of the benchmark table: the figure, its baseline, its target."""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class BenchVerdict(Enum):
    """How a figure compares with its target."""

    MET = "met"
    MISSED = "missed"
    UNMEASURED = "not measured"
    NO_TARGET = "no target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target: an upper or lower limit; on the ratio to the anchor where `by_ratio`."""

    limit: float
    least: bool = False
    by_ratio: bool = False

    def holds(self, value: float) -> bool:
        """Return whether a value meets the target; the limit itself does."""
        return value >= self.limit if self.least else value <= self.limit

    def text(self, unit: str) -> str:
        """Return the target as shown in the table."""
        sign = "≥" if self.least else "≤"
        return f"{sign} {number(self.limit)} ×" if self.by_ratio else f"{sign} {number(self.limit)} {unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """A figure of ours in `unit`, the anchor measured in the same run, and the target.

    `ours` None means "not measured", for the reason `why`. `note` says what the figure rests on: counts,
    intervals, sizes.
    """

    area: str
    what: str
    unit: str
    ours: float | None = None
    target: Target | None = None
    anchor: str = ""
    beside: float | None = None
    note: str = ""
    why: str = ""

    @property
    def ratio(self) -> float | None:
        """Ratio of ours to the anchor's; None where either is missing or the anchor's is 0."""
        return self.ours / self.beside if self.ours is not None and self.beside else None

    @property
    def verdict(self) -> BenchVerdict:
        """Return the verdict: met, missed, not measured, or no target."""
        if self.ours is None:
            return BenchVerdict.UNMEASURED
        if self.target is None:
            return BenchVerdict.NO_TARGET
        judged = self.ratio if self.target.by_ratio else self.ours
        if judged is None:
            return BenchVerdict.UNMEASURED
        return BenchVerdict.MET if self.target.holds(judged) else BenchVerdict.MISSED

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict.value}


def number(value: float) -> str:
    """Return a figure as text with three significant digits, or whole from a thousand on."""
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
