"""An interval clock in virtual time: it drifts and steps; while it is trusted its interval holds the true instant."""

from random import Random

from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from sim.world.trust import LAT_E7, LON_E7, T0_NS

LOST_NS = 20_000_000_000
WIDE_NS = 5_000_000


class VirtualClock:
    """One node's clock and position. `trusted`: whether the clock knows that it is right."""

    def __init__(self, rng: Random, bound_ns: int) -> None:
        self._rng, self._normal_ns = rng, bound_ns
        self.bound_ns, self.trusted = bound_ns, True
        self.lat_e7, self.lon_e7 = LAT_E7, LON_E7
        self._offset_ns = self._within()

    def _within(self) -> int:
        return self._rng.randint(-self.bound_ns, self.bound_ns)

    def fix(self, at_ns: int) -> Fix:
        """The node's time and position at a true instant, ns since the start; drifts, but never out of its bound."""
        nudge_ns = self._rng.randint(-self.bound_ns // 50, self.bound_ns // 50)
        if self.trusted:
            self._offset_ns = max(-self.bound_ns, min(self.bound_ns, self._offset_ns + nudge_ns))
        now_ns = T0_NS + at_ns + self._offset_ns
        return Fix(
            time=TimeFix(
                earliest_ns=now_ns - self.bound_ns,
                latest_ns=now_ns + self.bound_ns,
                source=TimeSource.SIMULATED,
                trusted=self.trusted,
                status="ok" if self.trusted else "unsynchronised",
            ),
            position=PositionFix(
                lat_e7=self.lat_e7, lon_e7=self.lon_e7, radius_mm=1000, source=PositionSource.SIMULATED, trusted=True
            ),
        )

    def step(self) -> None:
        """Step the clock, within its stated bound."""
        self._offset_ns = self._within()

    def widen(self) -> None:
        """Widen the bound beyond what any rule allows, and state that."""
        self.bound_ns, self.trusted = WIDE_NS, True
        self._offset_ns = self._within()

    def lose(self) -> None:
        """Lose the time source: the time may be anything, and the clock states that it is not trusted."""
        self.trusted = False
        self._offset_ns = self._rng.randint(-LOST_NS, LOST_NS)

    def recover(self) -> None:
        """Recover from all faults."""
        self.bound_ns, self.trusted = self._normal_ns, True
        self._offset_ns = self._within()
