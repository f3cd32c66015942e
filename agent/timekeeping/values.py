"""Readings of time and place sources, and the causes for which a clock is not trusted.

A `Reading` is a statement about one instant of the host's monotonic clock. Its standing is the source's own judgement:
silence (no news, no fault) leaves the clock on what it knew; distrust closes it at once.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

from settlement.core.fixes import PositionFix, TimeFix


class Cause(StrEnum):
    """Why a clock or a position is, or is not, trusted. Stable: shown, logged and counted."""

    OK = "ok"
    HOLDOVER = "holdover"
    NO_SOURCE = "no source"
    SETTLING = "sources not in agreement long enough"
    UNSYNCHRONISED = "unsynchronised"
    OVER_BUDGET = "bound over budget"
    JUMP = "jump"
    DISJOINT = "sources disjoint"
    SIMULATED = "simulated fix on a real radio"
    TOO_FEW_SATELLITES = "too few satellites"
    NOT_MEASURED = "not a satellite fix"
    CONTRADICTORY = "receiver contradicts itself"
    IMPLAUSIBLE = "implausible"
    HOST_DISAGREES = "sources disagree with the system clock"
    SUSPENDED = "host was suspended"
    STALE = "stale"


class SourceStanding(Enum):
    """A source's own judgement of its reading."""

    GOOD = "good"
    SILENT = "silent"
    UNSYNCHRONISED = "unsynchronised"
    TOO_FEW_SATELLITES = "too few satellites"
    NOT_MEASURED = "not a satellite fix"
    CONTRADICTORY = "contradicts itself"
    IMPLAUSIBLE = "implausible"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class UtcInterval:
    """UTC at the monotonic instant `at_ns`, known to lie in [earliest_ns, latest_ns]."""

    at_ns: int
    earliest_ns: int
    latest_ns: int

    def moved(self, to_ns: int, drift_ppb: int) -> "UtcInterval":
        """The interval at another monotonic instant, wider by what the oscillator may have drifted meanwhile.

        The rate of UTC against the monotonic clock lies within 1 +- drift_ppb / 1e9. Rounded outwards.
        """
        if to_ns == self.at_ns:
            return self
        passed_ns = to_ns - self.at_ns
        slack_ns = -(-abs(passed_ns) * drift_ppb // 1_000_000_000)
        return UtcInterval(
            at_ns=to_ns,
            earliest_ns=self.earliest_ns + passed_ns - slack_ns,
            latest_ns=self.latest_ns + passed_ns + slack_ns,
        )

    def meet(self, other: "UtcInterval") -> "UtcInterval | None":
        """Return the intersection for the same instant; None when the intervals are disjoint."""
        earliest_ns, latest_ns = max(self.earliest_ns, other.earliest_ns), min(self.latest_ns, other.latest_ns)
        if earliest_ns > latest_ns:
            return None
        return UtcInterval(at_ns=self.at_ns, earliest_ns=earliest_ns, latest_ns=latest_ns)

    def widened(self, bound_ns: int) -> "UtcInterval":
        """Return the interval widened to at least `bound_ns` to either side of the middle."""
        lacking_ns = 2 * bound_ns - (self.latest_ns - self.earliest_ns)
        if lacking_ns <= 0:
            return self
        below_ns = lacking_ns // 2
        return UtcInterval(
            at_ns=self.at_ns,
            earliest_ns=self.earliest_ns - below_ns,
            latest_ns=self.latest_ns + lacking_ns - below_ns,
        )

    @property
    def middle_ns(self) -> int:
        """Middle of the interval."""
        return (self.earliest_ns + self.latest_ns) // 2

    @property
    def bound_ns(self) -> int:
        """Half of the interval's width, rounded up."""
        return (self.latest_ns - self.earliest_ns + 1) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A reading of the source `name` for the monotonic instant `at_ns`. `note` is for people."""

    name: str
    at_ns: int
    standing: SourceStanding
    time: TimeFix | None = None
    position: PositionFix | None = None
    satellites: int | None = None
    note: str = ""

    @property
    def interval(self) -> UtcInterval | None:
        """The reading's time as an interval at its instant."""
        if self.time is None:
            return None
        return UtcInterval(at_ns=self.at_ns, earliest_ns=self.time.earliest_ns, latest_ns=self.time.latest_ns)
