"""Random histories of a clock and its time sources, each from one seed: the true time beside the clock's verdict."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from agent.timekeeping.clock import ClockPlan, ClockVerdict, IntervalClock
from agent.timekeeping.values import Reading, SourceStanding, UtcInterval
from settlement.core.fixes import TimeFix, TimeSource

NS = 1_000_000_000
MS = 1_000_000
T0 = 1_790_000_000 * NS
REAL = (TimeSource.GPS, TimeSource.CHRONY, TimeSource.KERNEL)


@dataclass
class Truth:
    """True UTC against a monotonic clock whose rate varies within the profile's limits."""

    rng: random.Random
    drift_ppb: int
    mono_ns: int = 5 * NS
    utc_ns: int = T0

    def pass_(self, by_ns: int) -> None:
        rate_ppb = self.rng.randint(-self.drift_ppb, self.drift_ppb)
        self.mono_ns += by_ns
        self.utc_ns += by_ns + by_ns * rate_ppb // NS


@dataclass
class Speaker:
    """A time source: honest within its bound unless it lies, and silent at times."""

    rng: random.Random
    name: str
    source: TimeSource
    bound_ns: int
    lies_from_ns: int | None = None
    step_ns: int = 0
    creep_ppb: int = 0
    silent_until_ns: int = 0

    def say(self, truth: Truth) -> Reading | None:
        if truth.mono_ns < self.silent_until_ns:
            return None
        if self.rng.random() < 0.05:
            self.silent_until_ns = truth.mono_ns + self.rng.randint(NS, 30 * NS)
            return reading(self.name, truth.mono_ns, standing=SourceStanding.SILENT)
        off_ns = self.rng.randint(-self.bound_ns, self.bound_ns)
        if self.lies_from_ns is not None and truth.mono_ns >= self.lies_from_ns:
            off_ns += self.step_ns + (truth.mono_ns - self.lies_from_ns) * self.creep_ppb // NS
        middle_ns = truth.utc_ns + off_ns
        return reading(self.name, truth.mono_ns, middle_ns, self.bound_ns, source=self.source)


def reading(
    name: str,
    at_ns: int,
    middle_ns: int | None = None,
    bound_ns: int = 1000,
    *,
    source: TimeSource = TimeSource.GPS,
    standing: SourceStanding = SourceStanding.GOOD,
) -> Reading:
    fix = None
    if middle_ns is not None:
        fix = TimeFix(earliest_ns=middle_ns - bound_ns, latest_ns=middle_ns + bound_ns, source=source, trusted=True)
    return Reading(name=name, at_ns=at_ns, standing=standing, time=fix)


@dataclass
class Tally:
    """Counts over many histories, so that a test can check that it covered what it claims."""

    instants: int = 0
    trusted: int = 0
    causes: set[str] = field(default_factory=set)
    lying_and_trusted: int = 0
    caught: int = 0


def plan(rng: random.Random, need: int) -> ClockPlan:
    return ClockPlan(
        budget_ns=rng.choice((MS // 2, MS, 5 * MS)),
        drift_ppb=rng.choice((1_000, 20_000, 50_000, 200_000)),
        agree_ns=rng.choice((0, 3 * NS, 10 * NS)),
        holdover_ns=rng.choice((20 * NS, 600 * NS)),
        need=need,
    )


def watch(rng: random.Random, held_to: ClockPlan, speakers: list[Speaker]) -> Iterator[tuple[Truth, ClockVerdict]]:
    """Run one history; yields true time and the clock's verdict, instant by instant."""
    truth, clock = Truth(rng, held_to.drift_ppb), IntervalClock(held_to)
    for _ in range(rng.randint(8, 40)):
        truth.pass_(rng.randint(50 * MS, 2 * NS) if rng.random() < 0.9 else rng.randint(2 * NS, 40 * NS))
        for speaker in speakers:
            said = speaker.say(truth) if rng.random() < 0.8 else None
            if said is not None:
                clock.take(said)
        verdict = clock.now(truth.mono_ns)
        yield truth, verdict
        truth.pass_(rng.randint(0, 6 * MS))
        carried = clock.carried(truth.mono_ns)
        if carried is not None:
            moment = UtcInterval(at_ns=truth.mono_ns, earliest_ns=carried.earliest_ns, latest_ns=carried.latest_ns)
            yield truth, replace(verdict, interval=moment)


def speakers(rng: random.Random, count: int) -> list[Speaker]:
    return [
        Speaker(rng=rng, name=source.name, source=source, bound_ns=rng.choice((200, 5_000, 50_000, 300_000)))
        for source in REAL[:count]
    ]


def honest(seed: int, tally: Tally) -> None:
    """Check one history of honest sources: a trusted interval holds the truth, and time never runs backwards."""
    rng = random.Random(seed)
    count = rng.randint(1, 3)
    held_to = plan(rng, need=rng.randint(1, min(2, count)))
    last_ns = 0
    for truth, verdict in watch(rng, held_to, speakers(rng, count)):
        tally.instants += 1
        tally.causes.add(verdict.cause.value)
        if verdict.trusted and verdict.interval is not None:
            tally.trusted += 1
            inside = verdict.interval.earliest_ns <= truth.utc_ns <= verdict.interval.latest_ns
            assert inside, f"seed {seed}: the truth lies outside"
            assert verdict.interval.earliest_ns >= last_ns, f"seed {seed}: time ran backwards"
            assert verdict.interval.bound_ns <= held_to.budget_ns, f"seed {seed}: trusted over budget"
            last_ns = verdict.interval.earliest_ns


def spoofed(seed: int, tally: Tally) -> None:
    """Check one history in which one source of several lies, by a step, a drift or both, from some moment on."""
    rng = random.Random(seed)
    count = rng.randint(2, 3)
    held_to = plan(rng, need=2)
    heard = speakers(rng, count)
    liar = rng.choice(heard)
    liar.lies_from_ns = 5 * NS + rng.randint(0, 40 * NS)
    liar.bound_ns = rng.choice((liar.bound_ns, 100))
    liar.step_ns = rng.choice((0, 1, -1)) * rng.randint(0, 10 * MS)
    liar.creep_ppb = rng.choice((0, 1, -1)) * rng.randint(0, 10 * held_to.drift_ppb)
    for truth, verdict in watch(rng, held_to, heard):
        tally.instants += 1
        tally.causes.add(verdict.cause.value)
        lying = truth.mono_ns >= liar.lies_from_ns
        if verdict.trusted and verdict.interval is not None:
            tally.trusted += 1
            tally.lying_and_trusted += lying
            inside = verdict.interval.earliest_ns <= truth.utc_ns <= verdict.interval.latest_ns
            error_ns = abs(verdict.interval.middle_ns - truth.utc_ns)
            assert inside or error_ns <= held_to.budget_ns, f"seed {seed}: trusted, {error_ns} ns off"
        elif lying and verdict.cause.value in ("jump", "sources disjoint"):
            tally.caught += 1
