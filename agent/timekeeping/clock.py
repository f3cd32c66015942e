"""The interval clock: readings of several sources in, one interval of UTC out, or the reason why none is trusted.

Pure: monotonic time is an argument, nothing here reads a clock. The rules, in the order they are applied:

    (1) A claim narrower than its class can be is widened to the class's floor.
    (2) Each source's track is what it said last, carried on by the oscillator's drift and met with what it says next.
        A reading that contradicts its own track, or what the clock holds, is a jump. A source that jumped counts for
        nothing until it agrees again with what the clock holds; what is held only gets vaguer meanwhile.
    (3) The sources' tracks are intersected; when they have nothing in common, GPS and clock are disjoint.
    (4) With `need` of 1 the bound that counts is that of the intersection. With more, at most one of them may lie, so
        what counts is how far the truth can be from the middle if all but one were believed: the reach of the hull.
    (5) Trust comes after `agree_ns` without any fault, and goes with the first one.
    (6) Silence is holdover: the interval widens until it passes the budget or `holdover_ns`. Distrust is immediate.
    (7) A trusted clock never gives an earlier earliest instant than it gave before.
    (8) Time before `not_before_ns` (the build, the newest own record) or after `not_after_ns` is implausible, and a
        source that contradicts itself lies somewhere: either closes the clock, whatever other sources say.
    (9) Sources that are farther than `host_tolerance_ns` from the system clock close it: one of the two is wrong.
    (10) When the host was suspended, monotonic time stood still: nothing known before counts any more.

With one source, a lie that creeps more slowly than the oscillator may drift cannot be told from the oscillator; with
two and `need = 2` the time is inside the interval or the clock is untrusted before the error exceeds the budget.

Long because one answer rests on every cause of distrust, and their order is judged in one place.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.timekeeping.values import Cause, Reading, SourceStanding, UtcInterval
from settlement.chain.admission import TIME_FLOOR_NS
from settlement.core.fixes import TimeFix, TimeSource

NS = 1_000_000_000
CARRY_NS = 5_000_000
"""Time in ns for which an uncontradicted verdict is extrapolated by drift alone, which takes microseconds."""
STANDS_NS = 50_000_000
"""Time in ns for which a verdict is extrapolated just before a reading, while drift leaves it within the budget;

also where all sources were read and agree with it.
"""
DISTRUST = {
    SourceStanding.UNSYNCHRONISED: Cause.UNSYNCHRONISED,
    SourceStanding.TOO_FEW_SATELLITES: Cause.TOO_FEW_SATELLITES,
    SourceStanding.NOT_MEASURED: Cause.NOT_MEASURED,
}
LYING = {SourceStanding.IMPLAUSIBLE: Cause.IMPLAUSIBLE, SourceStanding.CONTRADICTORY: Cause.CONTRADICTORY}
"""Standings that a working source never has, each with the cause of distrust that it gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPlan:
    """The limits of a clock. `need` sources must agree; `drift_ppb` is the oscillator's.

    `host_tolerance_ns` is the largest difference of the system clock from the sources; None: not checked.
    """

    budget_ns: int = 1_000_000
    drift_ppb: int = 50_000
    agree_ns: int = 10 * NS
    stale_ns: int = 3 * NS
    holdover_ns: int = 600 * NS
    need: int = 1
    simulated_ok: bool = False
    not_before_ns: int = 0
    not_after_ns: int = 1 << 62
    host_tolerance_ns: int | None = None
    floors_ns: Mapping[TimeSource, int] = field(default_factory=lambda: TIME_FLOOR_NS)


@dataclass(slots=True)
class Track:
    """One source's state in the clock."""

    source: TimeSource
    known: UtcInterval | None = None
    heard_ns: int | None = None
    standing: SourceStanding = SourceStanding.SILENT
    jumped: bool = False
    jump_ns: int | None = None
    """Time of its last jump, monotonic."""

    def live(self, at_ns: int, stale_ns: int) -> bool:
        """Return whether the source vouches for an instant."""
        good = self.standing is SourceStanding.GOOD and not self.jumped and self.heard_ns is not None
        return good and at_ns - (self.heard_ns or 0) <= stale_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockVerdict:
    """The clock's answer for one instant: interval (None before any reading), cause, and the bound that counts.

    `reach_ns` is what is compared with the budget; `holdover_left_ns` is how long trust lasts if all sources fall
    silent now, None when it is not trusted.
    """

    interval: UtcInterval | None
    source: TimeSource
    cause: Cause
    trusted: bool
    reach_ns: int | None
    holdover_left_ns: int | None

    def fix(self) -> TimeFix:
        """Return the verdict as the fix that is signed and judged."""
        known = self.interval
        return TimeFix(
            earliest_ns=max(0, known.earliest_ns) if known else 0,
            latest_ns=max(0, known.latest_ns) if known else 0,
            source=self.source if known else TimeSource.NONE,
            trusted=self.trusted,
            status=self.cause.value,
        )


class IntervalClock:
    """One node's clock. `take` adds a reading, `now` judges; `at` gives the interval at instants near now."""

    def __init__(self, plan: ClockPlan) -> None:
        self.plan = plan
        self.tracks: dict[str, Track] = {}
        self._held: UtcInterval | None = None
        self._held_from = TimeSource.NONE
        self._agreed_since_ns: int | None = None
        self._trusted = False
        self._vouched_ns: int | None = None
        self._given: UtcInterval | None = None
        self._latest_ns: int | None = None
        self._last: ClockVerdict | None = None
        self._fitted_ns: int | None = None
        self._judged: tuple[int, Cause, UtcInterval | None, int | None] | None = None
        """The last judgement with its instant; reused until the next reading."""
        self._not_before_ns = plan.not_before_ns
        self._host: tuple[int, int] | None = None
        self._woken_ns: int | None = None

    # -- in ------------------------------------------------------------------------------------------------------

    def take(self, reading: Reading) -> None:
        """Add a reading; one older than the source's last is dropped."""
        at_ns = reading.at_ns if self._latest_ns is None else max(reading.at_ns, self._latest_ns)
        if self._judged is None or self._drifted(at_ns, STANDS_NS) is None:
            self._judge(at_ns)
        self._last = None
        source = reading.time.source if reading.time else TimeSource.NONE
        track = self.tracks.setdefault(reading.name, Track(source=source))
        if track.heard_ns is not None and reading.at_ns < track.heard_ns:
            return
        if self._woken_ns is not None and reading.at_ns <= self._woken_ns:
            return
        claimed = reading.interval
        if reading.standing is not SourceStanding.GOOD:
            track.standing = reading.standing
        elif claimed is not None and not self._plausible(claimed):  # (8)
            track.source, track.standing = source, SourceStanding.IMPLAUSIBLE
        elif claimed is not None:
            track.source, track.standing, track.heard_ns = source, SourceStanding.GOOD, reading.at_ns
            said = claimed.widened(self.plan.floors_ns[source])  # (1)
            self._follow(track, said.moved(at_ns, self.plan.drift_ppb))
        self._judge(at_ns)

    def suspect(self, name: str, at_ns: int) -> None:
        """Mark a source as lying because of other evidence (its position), as for a jump in its time."""
        self._last = None
        track = self.tracks.get(name)
        if track is not None:
            track.jumped, track.jump_ns = True, at_ns
            self._judge(at_ns)

    def witness(self, at_ns: int, utc_ns: int) -> None:
        """Note the system clock at a monotonic instant, for rule (9)."""
        self._host, self._judged = (at_ns, utc_ns), None

    def woken(self, at_ns: int) -> None:
        """Note that the host was suspended until now (monotonic), rule (10): trust must be established again."""
        if self._given is not None:
            self._not_before_ns = max(self._not_before_ns, self._given.earliest_ns)
        self.tracks.clear()
        self._held = self._given = self._last = self._host = self._judged = None
        self._held_from = TimeSource.NONE
        self._agreed_since_ns = self._vouched_ns = None
        self._trusted, self._woken_ns = False, at_ns

    @property
    def earliest_ns(self) -> int | None:
        """The earliest instant given last, ns since the Unix epoch; None while nothing was trusted."""
        return self._given.earliest_ns if self._given else None

    def _plausible(self, claimed: UtcInterval) -> bool:
        return claimed.latest_ns >= self._not_before_ns and claimed.earliest_ns <= self.plan.not_after_ns

    def _follow(self, track: Track, said: UtcInterval) -> None:
        """Apply rule (2): update a source's track."""
        before = track.known.moved(said.at_ns, self.plan.drift_ppb) if track.known else said
        agreed = before.meet(said)
        held = self._held.moved(said.at_ns, self.plan.drift_ppb) if self._held else None
        if agreed is None or (held is not None and agreed.meet(held) is None and self._lone(track, said.at_ns)):
            track.jumped, track.jump_ns, track.known = True, said.at_ns, said
            return
        if track.jumped and (held is None or held.meet(said) is not None):
            track.jumped = False
        track.known = agreed

    def _lone(self, track: Track, at_ns: int) -> bool:
        """Return whether no other source is live: then the held interval is the only check."""
        return not any(t.live(at_ns, self.plan.stale_ns) for t in self.tracks.values() if t is not track)

    # -- judgement -----------------------------------------------------------------------------------------------

    def now(self, at_ns: int) -> ClockVerdict:
        """Judge this instant (monotonic ns); trust is gained and lost here, so call it as time passes."""
        if self._judged is not None and self._judged[0] == at_ns:
            _, cause, interval, reach_ns = self._judged
        else:
            cause, interval, reach_ns = self._judge(at_ns)
        if self._trusted and interval is not None:
            interval = self._forward(interval)
            self._given = interval
        self._last = self._verdict(cause, interval, reach_ns)
        return self._last

    def carried(self, at_ns: int) -> TimeFix | None:
        """Return the last verdict extrapolated to an instant shortly after; None where `now` must judge again."""
        fitting = self._fitted_ns is not None and 0 <= at_ns - self._fitted_ns <= CARRY_NS
        moved = self._drifted(at_ns, STANDS_NS if fitting else CARRY_NS)
        return None if moved is None else self._moved(moved)

    def carried_with(self, readings: Iterable[Reading], at_ns: int) -> TimeFix | None:
        """Return the last verdict where all readings at this instant fit it; None where they must be added.

        Each source keeps its state, though its own interval may be narrower or wider than the verdict.
        """
        moved = self._drifted(at_ns, STANDS_NS)
        if moved is None or not all(self._fits(one, moved) for one in readings):
            return None
        self._fitted_ns = at_ns
        return self._moved(moved)

    def _fits(self, reading: Reading, moved: UtcInterval) -> bool:
        track, claimed = self.tracks.get(reading.name), reading.time
        if track is None or claimed is None or reading.position is not None or track.jumped:
            return False
        good = reading.standing is SourceStanding.GOOD and track.standing is SourceStanding.GOOD
        if not good or claimed.source is not track.source:
            return False
        inside = self._not_before_ns <= claimed.latest_ns and claimed.earliest_ns <= self.plan.not_after_ns
        return inside and claimed.earliest_ns <= moved.latest_ns and moved.earliest_ns <= claimed.latest_ns

    def _moved(self, moved: UtcInterval) -> TimeFix | None:
        """Return the last verdict for the instant to which its interval was moved."""
        last, self._given = self._last, moved
        return (
            None
            if last is None
            else TimeFix(
                earliest_ns=max(0, moved.earliest_ns),
                latest_ns=max(0, moved.latest_ns),
                source=last.source,
                trusted=True,
                status=last.cause.value,
            )
        )

    def _drifted(self, at_ns: int, for_ns: int) -> UtcInterval | None:
        """Return the last verdict's interval extrapolated by drift; None if untrusted, older, or no longer valid."""
        last = self._last
        if last is None or last.interval is None or last.reach_ns is None or not last.trusted:
            return None
        if not 0 <= at_ns - last.interval.at_ns <= for_ns:
            return None
        if self._vouched_ns is None or at_ns - self._vouched_ns > self.plan.holdover_ns:
            return None
        moved = last.interval.moved(at_ns, self.plan.drift_ppb)
        return None if last.reach_ns + moved.bound_ns - last.interval.bound_ns > self.plan.budget_ns else moved

    def at(self, at_ns: int) -> TimeFix:
        """Return the interval at an instant near now, past or future, as far as it is known now."""
        known = self._given or self._held
        moved = known.moved(at_ns, self.plan.drift_ppb) if known else None
        cause = Cause.OK if self._trusted else Cause.SETTLING
        return self._verdict(cause, moved, None).fix()

    def _verdict(self, cause: Cause, interval: UtcInterval | None, reach_ns: int | None) -> ClockVerdict:
        left_ns = None
        if self._trusted and reach_ns is not None:
            left_ns = self._left_ns(reach_ns)
        return ClockVerdict(
            interval=interval,
            source=self._held_from,
            cause=cause,
            trusted=self._trusted,
            reach_ns=reach_ns,
            holdover_left_ns=left_ns,
        )

    def _left_ns(self, reach_ns: int) -> int:
        room_ns = max(0, self.plan.budget_ns - reach_ns)
        by_drift_ns = room_ns * NS // self.plan.drift_ppb if self.plan.drift_ppb else self.plan.holdover_ns
        return min(by_drift_ns, self.plan.holdover_ns)

    def _forward(self, interval: UtcInterval) -> UtcInterval:
        """Apply rule (7): never return an earlier earliest instant than before."""
        if self._given is None or self._given.earliest_ns <= interval.earliest_ns:
            return interval
        earliest_ns = self._given.earliest_ns
        return UtcInterval(
            at_ns=interval.at_ns, earliest_ns=earliest_ns, latest_ns=max(earliest_ns, interval.latest_ns)
        )

    def _judge(self, at_ns: int) -> tuple[Cause, UtcInterval | None, int | None]:
        """Apply rules (3) to (6): return cause, interval and reach at this instant; updates held interval and trust."""
        self._latest_ns = at_ns
        believed = self._believed(at_ns)
        live = [name for name in believed if self.tracks[name].live(at_ns, self.plan.stale_ns)]
        common = self._common(believed, at_ns)
        interval = common or (self._held.moved(at_ns, self.plan.drift_ppb) if self._held else None)
        reach_ns = _reach_ns(interval, believed.values() if self.plan.need > 1 else ())
        fault = self._fault(at_ns, live, common, reach_ns, standing=len(believed))
        if fault is None and live:
            self._vouched_ns = max(self.tracks[name].heard_ns or 0 for name in live)
        self._settle(fault, at_ns, live)
        if self._trusted and common is not None:
            self._hold(common, live)
        cause = fault or (Cause.SETTLING if not self._trusted else Cause.OK if live else Cause.HOLDOVER)
        if self._trusted:
            self._woken_ns = None
        elif self._woken_ns is not None and cause in (Cause.SETTLING, Cause.NO_SOURCE):
            cause = Cause.SUSPENDED
        self._judged = (at_ns, cause, interval, reach_ns)
        return cause, interval, reach_ns

    def _hold(self, common: UtcInterval, live: list[str]) -> None:
        """Keep the known interval; one widened by drift alone is not kept, as rounding would widen it each time."""
        if self._held is None or self._held.moved(common.at_ns, self.plan.drift_ppb) != common:
            self._held, self._held_from = common, self._narrowest(live, common.at_ns)

    def _believed(self, at_ns: int) -> dict[str, UtcInterval]:
        """Return the tracks that count, extrapolated to this instant."""
        return {
            name: track.known.moved(at_ns, self.plan.drift_ppb)
            for name, track in self.tracks.items()
            if track.known is not None
            and not track.jumped
            and track.standing in (SourceStanding.GOOD, SourceStanding.SILENT)
        }

    def _common(self, believed: Mapping[str, UtcInterval], at_ns: int) -> UtcInterval | None:
        """Apply rule (3): intersect all tracks and, once trusted, the held interval; None when they are disjoint."""
        common = self._held.moved(at_ns, self.plan.drift_ppb) if self._held is not None else None
        for one in believed.values():
            common = one if common is None else common.meet(one)
            if common is None:
                return None
        return common

    def _fault(
        self, at_ns: int, live: list[str], common: UtcInterval | None, reach_ns: int | None, *, standing: int
    ) -> Cause | None:
        """Return the first fault; None when there is none."""
        plan, tracks = self.plan, self.tracks.values()
        if not plan.simulated_ok and any(self._simulated(track) for track in tracks):
            return Cause.SIMULATED
        lying = next((LYING[track.standing] for track in tracks if track.standing in LYING), None)
        if lying is not None:
            return lying
        if any(track.jumped for track in tracks):
            return Cause.JUMP
        distrust = next((DISTRUST[track.standing] for track in tracks if track.standing in DISTRUST), None)
        if distrust is not None and (len(live) < plan.need or not live):
            return distrust
        if standing == 0 and self._held is None:
            return Cause.NO_SOURCE
        if common is None:
            return Cause.DISJOINT
        if self._host_disagrees(common):
            return Cause.HOST_DISAGREES
        if standing < plan.need:
            return Cause.NO_SOURCE if self._vouched_ns is None else Cause.STALE
        if reach_ns is None or reach_ns > plan.budget_ns:
            return Cause.OVER_BUDGET
        vouched = self._trusted and self._vouched_ns is not None and at_ns - self._vouched_ns <= plan.holdover_ns
        return None if live or vouched else Cause.STALE

    def _host_disagrees(self, common: UtcInterval) -> bool:
        """Apply rule (9): return whether the system clock differs too much from the sources."""
        if self.plan.host_tolerance_ns is None or self._host is None:
            return False
        at_ns, utc_ns = self._host
        host_ns = utc_ns + common.at_ns - at_ns
        return max(common.earliest_ns - host_ns, host_ns - common.latest_ns) > self.plan.host_tolerance_ns

    @staticmethod
    def _simulated(track: Track) -> bool:
        return track.standing is SourceStanding.SIMULATED or track.source is TimeSource.SIMULATED

    def _settle(self, fault: Cause | None, at_ns: int, live: list[str]) -> None:
        """Apply rule (5): update trust."""
        if fault is not None:
            self._trusted, self._agreed_since_ns = False, None
            return
        if self._trusted or not live:
            return
        if self._agreed_since_ns is None:
            self._agreed_since_ns = at_ns
        self._trusted = at_ns - self._agreed_since_ns >= self.plan.agree_ns

    def _narrowest(self, live: list[str], at_ns: int) -> TimeSource:
        """Return the source with the narrowest interval, which a record names."""
        known = [(t.known.moved(at_ns, self.plan.drift_ppb).bound_ns, t.source) for t in self._tracks(live) if t.known]
        return min(known)[1] if known else self._held_from

    def _tracks(self, names: list[str]) -> list[Track]:
        return [self.tracks[name] for name in names]


def _reach_ns(interval: UtcInterval | None, others: Iterable[UtcInterval]) -> int | None:
    """Apply rule (4): distance from the middle to the farthest possible instant."""
    if interval is None:
        return None
    ends = [interval.earliest_ns, interval.latest_ns]
    for one in others:
        ends += [one.earliest_ns, one.latest_ns]
    return max(abs(end - interval.middle_ns) for end in ends)
