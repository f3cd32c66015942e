"""A node's position as a disc it can vouch for: surveyed, from a receiver's fixes, or surveyed and checked by fixes.

Pure, as the clock is. Once fixes have agreed for `agree_ns` the place is known: a fix farther from the known place than
both radii and the fastest the node can move allow is a jump, however often it is repeated. A node on a mast
(speed 0) does not move at all: only fixes at the known place are believed again, or a new start. Between fixes the disc
of a node that moves grows with its speed.
"""

from dataclasses import dataclass, replace

from agent.timekeeping.values import Cause, Reading, SourceStanding
from settlement.chain.admission import RADIUS_FLOOR_MM
from settlement.core.fixes import PositionFix, PositionSource, distance_mm

NS = 1_000_000_000
DISTRUST = {
    SourceStanding.TOO_FEW_SATELLITES: Cause.TOO_FEW_SATELLITES,
    SourceStanding.NOT_MEASURED: Cause.NOT_MEASURED,
    SourceStanding.CONTRADICTORY: Cause.CONTRADICTORY,
    SourceStanding.IMPLAUSIBLE: Cause.IMPLAUSIBLE,
}
"""Standings of a receiver that make its place untrusted. An unsynchronised system clock does not affect the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacePlan:
    """Limits of a position; `speed_mm_per_s` is the fastest the antenna moves, 0 for one on a mast."""

    surveyed: PositionFix | None = None
    budget_mm: int = 50_000
    speed_mm_per_s: int = 0
    agree_ns: int = 10 * NS
    stale_ns: int = 3 * NS
    simulated_ok: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPlace:
    """A receiver's fix and its time (monotonic ns)."""

    fix: PositionFix
    at_ns: int


class Place:
    """One node's position. `take` adds a reading, `now` returns the position."""

    def __init__(self, plan: PlacePlan) -> None:
        self.plan = plan
        self._seen: SeenPlace | None = None
        self._known: SeenPlace | None = None
        self._ever_settled = False
        self._standing = SourceStanding.SILENT
        self._agreed_since_ns: int | None = None
        self._fault: Cause | None = None
        self._settled = False
        self._told: tuple[PositionFix, Cause, PositionFix] | None = None

    def take(self, reading: Reading) -> bool:
        """Add a reading; returns True when it jumped away from the known place."""
        if reading.position is None:
            if reading.standing in DISTRUST or reading.standing is SourceStanding.SIMULATED:
                self._distrust(reading)
            return False
        if reading.standing is not SourceStanding.GOOD:
            self._distrust(reading)
            return False
        self._standing = SourceStanding.GOOD
        floor_mm = RADIUS_FLOOR_MM[reading.position.source]
        fix = replace(reading.position, radius_mm=max(reading.position.radius_mm, floor_mm))
        self._seen = SeenPlace(fix=fix, at_ns=reading.at_ns)
        jumped = self._known is not None and not self._reachable(self._known, self._seen)
        if not jumped or not self._ever_settled:
            self._keep(self._seen, jumped=jumped)
        disjoint = self.plan.surveyed is not None and _apart(fix, self.plan.surveyed) > 0
        self._fault = Cause.DISJOINT if disjoint else Cause.JUMP if jumped else None
        if self._fault is not None:
            self._agreed_since_ns, self._settled = None, False
        elif self._agreed_since_ns is None:
            self._agreed_since_ns = reading.at_ns
        return jumped

    def _keep(self, seen: SeenPlace, *, jumped: bool) -> None:
        """Store the position; on a mast the most precise fix, so that small steps cannot move it away."""
        before = self._known
        if before is None or jumped or self.plan.speed_mm_per_s or seen.fix.radius_mm < before.fix.radius_mm:
            self._known = seen

    def _distrust(self, reading: Reading) -> None:
        self._standing, self._agreed_since_ns, self._settled = reading.standing, None, False

    def _reachable(self, before: SeenPlace, after: SeenPlace) -> bool:
        moved_mm = self.plan.speed_mm_per_s * max(0, after.at_ns - before.at_ns) // NS
        return _apart(before.fix, after.fix) <= moved_mm

    def now(self, at_ns: int) -> PositionFix:
        """Return the disc at an instant, and whether it is trusted."""
        surveyed = self.plan.surveyed
        cause = self._cause(at_ns)
        base = surveyed if surveyed is not None else self._carried(at_ns)
        if base is None:
            return PositionFix(
                lat_e7=0, lon_e7=0, radius_mm=0, source=PositionSource.NONE, trusted=False, status=cause.value
            )
        if cause in (Cause.OK, Cause.HOLDOVER) and base.radius_mm > self.plan.budget_mm:
            cause = Cause.OVER_BUDGET
        told = self._told
        if told is None or told[0] is not base or told[1] is not cause:
            found = replace(base, trusted=cause in (Cause.OK, Cause.HOLDOVER), status=cause.value)
            told = self._told = base, cause, found
        return told[2]

    def _carried(self, at_ns: int) -> PositionFix | None:
        if self._seen is None:
            return None
        grown_mm = self.plan.speed_mm_per_s * max(0, at_ns - self._seen.at_ns) // NS
        if not grown_mm:
            return self._seen.fix
        return replace(self._seen.fix, radius_mm=self._seen.fix.radius_mm + grown_mm)

    def _cause(self, at_ns: int) -> Cause:
        source = self.plan.surveyed.source if self.plan.surveyed else self._seen.fix.source if self._seen else None
        simulated = self._standing is SourceStanding.SIMULATED or source is PositionSource.SIMULATED
        if simulated and not self.plan.simulated_ok:
            return Cause.SIMULATED
        if self._standing in DISTRUST:
            return DISTRUST[self._standing]
        if self._fault is not None:
            return self._fault
        if self._seen is None:
            return Cause.OK if self.plan.surveyed is not None else Cause.NO_SOURCE
        if self._agreed_since_ns is not None and not self._settled:
            self._settled = self._seen.at_ns - self._agreed_since_ns >= self.plan.agree_ns
            self._ever_settled = self._ever_settled or self._settled
        if not self._settled:
            return Cause.SETTLING
        return Cause.HOLDOVER if at_ns - self._seen.at_ns > self.plan.stale_ns else Cause.OK


def _apart(one: PositionFix, other: PositionFix) -> int:
    """Millimetres that separate two discs; 0 or less when they touch."""
    return distance_mm(one.lat_e7, one.lon_e7, other.lat_e7, other.lon_e7) - one.radius_mm - other.radius_mm
