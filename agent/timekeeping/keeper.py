"""A node's only clock: reads its sources in a thread, and returns time and place as one fix.

`fix()` never blocks and takes microseconds: it takes in the sources' readings and asks the pure clock and place; an
uncontradicted verdict is extrapolated by drift for a few milliseconds. Sources that wait run in one asyncio loop in a
thread of their own; a simulated source is asked directly.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.timekeeping.clock import ClockPlan, ClockVerdict, IntervalClock
from agent.timekeeping.memory import TimeMemory
from agent.timekeeping.place import Place, PlacePlan
from agent.timekeeping.section import AskedSource, Source
from agent.timekeeping.values import Cause, Reading, SourceStanding
from settlement.core.fixes import Fix, PositionFix, TimeFix

WAITING_MAX = 1024
SUSPENDED_NS = 20_000_000
"""Most by which reading CLOCK_BOOTTIME and CLOCK_MONOTONIC in turn differs without a suspension, ns: a time slice."""
REMEMBER_S = 10.0
RESTART_S = 1.0
LIES = frozenset({Cause.IMPLAUSIBLE, Cause.CONTRADICTORY, Cause.JUMP, Cause.DISJOINT, Cause.HOST_DISAGREES})
"""Causes that mean a source's time, and so perhaps its place, is false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """One source for people: its standing, the age of its last good reading in ns, its bound now, and a note."""

    name: str
    kind: str
    standing: str
    live: bool
    age_ns: int | None
    bound_ns: int | None
    satellites: int | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperState:
    """The whole state of a clock at one instant."""

    verdict: ClockVerdict
    position: PositionFix
    sources: tuple[SourceState, ...]
    budget_ns: int
    position_budget_mm: int


class Timekeeper:
    """Sources, clock and place of one node. Use from one thread only."""

    def __init__(
        self,
        clock: ClockPlan,
        place: PlacePlan,
        *,
        monotonic_ns: Callable[[], int],
        boottime_ns: Callable[[], int] | None = None,
        system_ns: Callable[[], int] = time.time_ns,
        memory: TimeMemory | None = None,
        asked: Sequence[AskedSource] = (),
        running: Sequence[Source] = (),
    ) -> None:
        self.clock, self.place = IntervalClock(clock), Place(place)
        self._monotonic_ns, self._asked, self._running = monotonic_ns, tuple(asked), tuple(running)
        self._waiting: deque[Reading] = deque(maxlen=WAITING_MAX)
        self._last: dict[str, Reading] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._boottime_ns, self._system_ns, self._memory = boottime_ns, system_ns, memory
        self._asleep_ns = self._slept_ns()

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start reading the sources; does nothing for a simulated clock."""
        if self._running and self._thread is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._listen, args=(self._loop,), name="timekeeper", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop reading the sources."""
        loop, thread, self._thread = self._loop, self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(self._cancel, loop)
            thread.join(5.0)

    @staticmethod
    def _cancel(loop: asyncio.AbstractEventLoop) -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._all())
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _all(self) -> None:
        sources = (self._kept_running(source) for source in self._running)
        await asyncio.gather(*sources, *([self._remember(self._memory)] if self._memory else []))

    async def _kept_running(self, source: Source) -> None:
        """Run one source until cancelled: where its daemon's answer raises an error, it is restarted after a pause.

        Other sources are not affected.
        """
        while True:
            try:
                await source.run(self._waiting.append)
            except Exception as exc:  # noqa: BLE001 - a daemon's bytes may fail in any library beneath
                note = f"what it said ended its client ({type(exc).__name__}); asked again"
                at_ns = self._monotonic_ns()
                self._waiting.append(Reading(name=source.name, at_ns=at_ns, standing=SourceStanding.SILENT, note=note))
            await asyncio.sleep(RESTART_S)

    async def _remember(self, memory: TimeMemory) -> None:
        while True:
            await asyncio.sleep(REMEMBER_S)
            memory.keep(self.clock.earliest_ns)

    # -- here and now --------------------------------------------------------------------------------------------

    def fix(self) -> Fix:
        """Return time and place now, with the bounds that this node can vouch for."""
        if not self._waiting and not self._woken():
            now_ns = self._monotonic_ns()
            carried = self.clock.carried(now_ns)
            if carried is None and self._asked and not self._running:
                carried = self.clock.carried_with((source.ask(now_ns) for source in self._asked), now_ns)
            if carried is not None:
                return Fix(time=carried, position=self.place.now(now_ns))
        now_ns = self._take_in()
        verdict = self.clock.now(now_ns)
        return Fix(time=verdict.fix(), position=self._place(now_ns, verdict.cause))

    def at(self, monotonic_ns: int) -> TimeFix:
        """The interval of UTC at an instant near now, for the record."""
        self._take_in()
        return self.clock.at(monotonic_ns)

    def state(self) -> KeeperState:
        """Return time, place and the reason for their state, for people."""
        now_ns = self._take_in()
        verdict = self.clock.now(now_ns)
        return KeeperState(
            verdict=verdict,
            position=self._place(now_ns, verdict.cause),
            sources=tuple(self._state_of(name, now_ns) for name in self._names()),
            budget_ns=self.clock.plan.budget_ns,
            position_budget_mm=self.place.plan.budget_mm,
        )

    def _place(self, now_ns: int, time_cause: Cause) -> PositionFix:
        """Return the place; a receiver whose time is false is not trusted for its place, but a surveyed place is."""
        found = self.place.now(now_ns)
        if time_cause not in LIES or self.place.plan.surveyed is not None or not found.trusted:
            return found
        return replace(found, trusted=False, status=time_cause.value)

    def _slept_ns(self) -> int:
        """Return how long the host was suspended since it started: CLOCK_BOOTTIME minus CLOCK_MONOTONIC, ns.

        In this order of reading, a pause between the readings makes the result smaller, never larger.
        """
        return 0 if self._boottime_ns is None else self._boottime_ns() - self._monotonic_ns()

    def _woken(self) -> bool:
        slept_ns = self._slept_ns()
        if slept_ns - self._asleep_ns > SUSPENDED_NS:
            return True
        self._asleep_ns = max(self._asleep_ns, slept_ns)
        return False

    def _take_in(self) -> int:
        if self._woken():
            self._asleep_ns = self._slept_ns()
            self.clock.woken(self._monotonic_ns())
        if self._waiting and self.clock.plan.host_tolerance_ns is not None:
            self.clock.witness(self._monotonic_ns(), self._system_ns())
        while self._waiting:
            self._hear(self._waiting.popleft())
        now_ns = self._monotonic_ns()
        for source in self._asked:
            self._hear(source.ask(now_ns))
        return now_ns

    def _hear(self, reading: Reading) -> None:
        """Add a reading; a place that jumps shows that the receiver lies, about the time as well."""
        self._last[reading.name] = reading
        self.clock.take(reading)
        if self.place.take(reading):
            self.clock.suspect(reading.name, reading.at_ns)

    # -- for people ----------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return [source.name for source in self._asked] + [source.name for source in self._running]

    def _state_of(self, name: str, now_ns: int) -> SourceState:
        last, track = self._last.get(name), self.clock.tracks.get(name)
        plan = self.clock.plan
        known = track.known.moved(now_ns, plan.drift_ppb) if track and track.known else None
        standing = SourceStanding.SILENT.value if last is None else last.standing.value
        return SourceState(
            name=name,
            kind=track.source.name.lower() if track else "none",
            standing="jumped" if track and track.jumped else standing,
            live=track is not None and track.live(now_ns, plan.stale_ns),
            age_ns=now_ns - track.heard_ns if track and track.heard_ns is not None else None,
            bound_ns=known.bound_ns if known else None,
            satellites=last.satellites if last else None,
            note=last.note if last else "nothing heard yet",
        )
