"""A simulated receiver as a clock source, which returns a reading for any instant without blocking."""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, TypeAdapter

from agent.timekeeping.section import ClockSourceSection
from agent.timekeeping.values import Reading, SourceStanding
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.scriptedclock import ClockStatus, SimClock, read

STANDING = {
    ClockStatus.LOCKED: SourceStanding.GOOD,
    ClockStatus.HOLDOVER: SourceStanding.GOOD,
    ClockStatus.LOST: SourceStanding.UNSYNCHRONISED,
}


NOTES = {status: f"simulated receiver: {status.value}" for status in ClockStatus}


class SimulatedSource:
    """The receiver of a simulated node. In holdover it reports its own, growing bound."""

    def __init__(self, name: str, clock: SimClock) -> None:
        self.name, self._clock = name, clock

    def ask(self, monotonic_ns: int) -> Reading:
        """Return the reading at an instant of the monotonic clock."""
        said = read(self._clock, monotonic_ns)
        fix = TimeFix(earliest_ns=said.earliest_ns, latest_ns=said.latest_ns, source=TimeSource.SIMULATED, trusted=True)
        return Reading(
            name=self.name,
            at_ns=monotonic_ns,
            standing=STANDING[said.status],
            time=fix if said.status is not ClockStatus.LOST else None,
            note=NOTES[said.status],
        )


def _clock(value: Any) -> Any:
    """Parse the clock's table by its own strict rules; a TOML date is text there, and so no number."""
    return TypeAdapter(SimClock).validate_json(json.dumps(value, default=str)) if isinstance(value, dict) else value


class SimulatedClock(ClockSourceSection):
    """A simulated receiver, where the radio is simulated too."""

    counts_as: ClassVar[TimeSource] = TimeSource.SIMULATED

    kind: Literal["simulated"]
    name: str = "simulated"
    clock: Annotated[SimClock, BeforeValidator(_clock)]

    @property
    def best_us(self) -> float:
        """Smallest bound of this source, us."""
        return 0.0

    def asked(self) -> SimulatedSource:
        """Return the simulated receiver."""
        return SimulatedSource(self.name, self.clock)
