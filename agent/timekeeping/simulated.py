"""A simulated receiver as a source: its reading for any instant, without waiting."""

from agent.timekeeping.values import Reading, SourceStanding
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.scriptedclock import ClockStatus, SimClock, read

STANDING = {
    ClockStatus.LOCKED: SourceStanding.GOOD,
    ClockStatus.HOLDOVER: SourceStanding.GOOD,
    ClockStatus.LOST: SourceStanding.UNSYNCHRONISED,
}


class SimulatedSource:
    """The receiver of a simulated node. In holdover it states its own, growing bound."""

    def __init__(self, name: str, clock: SimClock) -> None:
        self.name, self._clock = name, clock

    def ask(self, monotonic_ns: int) -> Reading:
        """What it says at an instant of the monotonic clock."""
        said = read(self._clock, monotonic_ns)
        fix = TimeFix(earliest_ns=said.earliest_ns, latest_ns=said.latest_ns, source=TimeSource.SIMULATED, trusted=True)
        return Reading(
            name=self.name,
            at_ns=monotonic_ns,
            standing=STANDING[said.status],
            time=fix if said.status is not ClockStatus.LOST else None,
            note=f"simulated receiver: {said.status.value}",
        )
