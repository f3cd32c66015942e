"""One line of the detection table, and the confidence intervals of its counts."""

from dataclasses import asdict, dataclass
from math import log1p
from typing import Any, Final

from scipy import stats

LEVEL: Final = 0.95
FLOOR_COVERAGE: Final = "Coverage of the interval of the noise floor that the survey reports"
"""The whole standard uncertainty includes gain and temperature, which do not vary in a benchmark's samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRow:
    """One line of the table: the count, the expected value by theory or requirement, and the 95 % binomial interval."""

    group: str
    condition: str
    expected: float | None
    found: float
    low: float
    high: float
    trials: int
    x: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def row(
    group: str, condition: str, hits: int, trials: int, *, expected: float | None = None, x: float | None = None
) -> DetectionRow:
    """Return a counted share with its exact (Clopper-Pearson) interval."""
    low = float(stats.beta.ppf((1 - LEVEL) / 2, hits, trials - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf((1 + LEVEL) / 2, hits + 1, trials - hits)) if hits < trials else 1.0
    return DetectionRow(
        group=group, condition=condition, expected=expected, found=hits / trials, low=low, high=high, trials=trials, x=x
    )


def rate_row(
    group: str, condition: str, count: int, *, over: float, trials: int, expected: float | None = None
) -> DetectionRow:
    """Return a count of events per unit of `over` (seconds, hours), with its exact Poisson interval."""
    low, high = poisson_interval(count)
    return DetectionRow(
        group=group, condition=condition, expected=expected, found=count / over, low=low / over, high=high / over,
        trials=trials,
    )  # fmt: skip


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact interval of a Poisson mean after `count` events; for 0, from 0 to a one-sided bound."""
    if count == 0:
        return 0.0, -log1p(-LEVEL)
    return float(stats.chi2.ppf((1 - LEVEL) / 2, 2 * count)) / 2, float(
        stats.chi2.ppf((1 + LEVEL) / 2, 2 * count + 2)
    ) / 2
