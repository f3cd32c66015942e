"""The interval clock: trust is won slowly, lost at once, and always for a reason with a name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.timekeeping.clock import CARRY_NS, ClockPlan, ClockVerdict, IntervalClock
from agent.timekeeping.hostclock import Paired
from agent.timekeeping.keeper import Timekeeper
from agent.timekeeping.kernel import KernelState, reading_of
from agent.timekeeping.memory import BUILT_NS, TimeMemory
from agent.timekeeping.place import Place, PlacePlan
from agent.timekeeping.simulated import SimulatedSource
from agent.timekeeping.values import Cause, Reading, SourceStanding, UtcInterval
from settlement.chain.admission import TIME_FLOOR_NS
from settlement.core.fixes import PositionFix, PositionSource, TimeSource
from settlement.core.scriptedclock import Jump, Outage, SimClock
from tests.agent.histories import MS, NS, T0, Tally, honest, reading, spoofed

pytestmark = pytest.mark.feature("S6")

PLAN = ClockPlan(budget_ns=MS, drift_ppb=50_000, agree_ns=10 * NS, stale_ns=3 * NS)


def gps(at_s: float, off_ns: int = 0, bound_ns: int = 1000) -> Reading:
    at_ns = round(at_s * NS)
    return reading("gps", at_ns, T0 + at_ns + off_ns, bound_ns)


def chrony(at_s: float, off_ns: int = 0, bound_ns: int = 100_000) -> Reading:
    at_ns = round(at_s * NS)
    return reading("chrony", at_ns, T0 + at_ns + off_ns, bound_ns, source=TimeSource.CHRONY)


def ask(clock: IntervalClock, at_s: float) -> ClockVerdict:
    return clock.now(round(at_s * NS))


def settled(plan: ClockPlan = PLAN, *others: object) -> IntervalClock:
    """A clock that has heard GPS once a second for eleven seconds, and trusts it."""
    clock = IntervalClock(plan)
    for second in range(12):
        clock.take(gps(second))
    assert ask(clock, 11).trusted
    return clock


def test_nothing_heard_is_nothing_known() -> None:
    verdict = ask(IntervalClock(PLAN), 1)
    assert (verdict.trusted, verdict.cause, verdict.interval) == (False, Cause.NO_SOURCE, None)
    assert verdict.fix().source is TimeSource.NONE


def test_trust_takes_agreement_for_the_set_time_not_one_good_fix() -> None:
    clock = IntervalClock(PLAN)
    for second in range(10):
        clock.take(gps(second))
        assert ask(clock, second).cause is Cause.SETTLING
    clock.take(gps(10))
    verdict = ask(clock, 10)
    assert (verdict.trusted, verdict.cause, verdict.source) == (True, Cause.OK, TimeSource.GPS)
    assert verdict.interval is not None
    assert verdict.interval.earliest_ns <= T0 + 10 * NS <= verdict.interval.latest_ns


def test_without_fixes_the_bound_grows_at_the_drift_until_the_budget_closes_it() -> None:
    clock = settled()
    at_11 = ask(clock, 11)
    assert at_11.holdover_left_ns == pytest.approx((MS - 1000) * NS // 50_000, rel=1e-6)
    at_21 = ask(clock, 21)
    assert (at_21.trusted, at_21.cause) == (True, Cause.HOLDOVER)
    assert at_21.reach_ns == 1000 + 10 * 50_000
    assert ask(clock, 30.9).trusted
    closed = ask(clock, 31)
    assert (closed.trusted, closed.cause) == (False, Cause.OVER_BUDGET)
    assert closed.fix().status == "bound over budget"


def test_a_fix_that_returns_is_believed_only_after_the_agreement_time() -> None:
    clock = settled()
    ask(clock, 40)
    for second in range(50, 60):
        clock.take(gps(second))
        assert not ask(clock, second).trusted
    clock.take(gps(60))
    assert ask(clock, 60).trusted


def test_a_short_silence_costs_nothing() -> None:
    clock = settled()
    assert ask(clock, 16).cause is Cause.HOLDOVER
    clock.take(gps(17))
    assert ask(clock, 17).cause is Cause.OK


@pytest.mark.attack(36)
@pytest.mark.attack(37)
@pytest.mark.parametrize("off_ns", [2 * MS, -2 * MS, NS, -3600 * NS])
def test_a_jump_closes_it_and_stays_until_the_time_fits_again(off_ns: int) -> None:
    clock = settled()
    for second in range(12, 40):
        clock.take(gps(second, off_ns))
        assert ask(clock, second).cause is Cause.JUMP
    for second in range(40, 50):
        clock.take(gps(second))
        assert not ask(clock, second).trusted
    clock.take(gps(51))
    assert ask(clock, 51).trusted


@pytest.mark.attack(37)
def test_gps_and_clock_that_have_nothing_in_common_close_it() -> None:
    clock = IntervalClock(PLAN)
    for second in range(12):
        clock.take(gps(second))
        clock.take(chrony(second))
    assert ask(clock, 11).trusted
    for step in range(1, 20):
        clock.take(gps(11 + step))
        clock.take(chrony(11 + step, step * 8_000))
    assert ask(clock, 30).cause is Cause.DISJOINT


@pytest.mark.attack(36)
@pytest.mark.parametrize(
    ("standing", "cause"),
    [
        (SourceStanding.UNSYNCHRONISED, Cause.UNSYNCHRONISED),
        (SourceStanding.TOO_FEW_SATELLITES, Cause.TOO_FEW_SATELLITES),
        (SourceStanding.SIMULATED, Cause.SIMULATED),
    ],
)
def test_a_source_that_takes_its_word_back_closes_it_at_once(standing: SourceStanding, cause: Cause) -> None:
    clock = settled()
    clock.take(reading("gps", 12 * NS, standing=standing))
    assert ask(clock, 12).cause is cause
    clock.take(gps(13))
    assert ask(clock, 13).cause is Cause.SETTLING


def test_one_of_two_may_take_its_word_back_where_one_is_enough() -> None:
    clock = settled()
    clock.take(chrony(11))
    clock.take(reading("chrony", 12 * NS, standing=SourceStanding.UNSYNCHRONISED))
    clock.take(gps(12))
    assert ask(clock, 12).trusted


def test_two_needed_and_one_there_is_not_enough() -> None:
    clock = IntervalClock(replace(PLAN, need=2))
    for second in range(30):
        clock.take(gps(second))
    assert ask(clock, 29).cause is Cause.NO_SOURCE


@pytest.mark.attack(37)
def test_a_simulated_time_is_refused_where_the_radio_is_real() -> None:
    simulated = reading("sim", 0, T0, 10, source=TimeSource.SIMULATED)
    real, pretended = IntervalClock(PLAN), IntervalClock(replace(PLAN, simulated_ok=True, agree_ns=0))
    real.take(simulated)
    pretended.take(simulated)
    assert ask(real, 0).cause is Cause.SIMULATED
    assert ask(pretended, 0).trusted


def test_holdover_has_an_end_of_its_own() -> None:
    clock = settled(replace(PLAN, holdover_ns=5 * NS, budget_ns=NS))
    assert ask(clock, 13.9).cause is Cause.OK
    assert ask(clock, 15.9).cause is Cause.HOLDOVER
    assert ask(clock, 16.1).cause is Cause.STALE


@pytest.mark.attack(39)
@pytest.mark.parametrize("source", [TimeSource.GPS, TimeSource.CHRONY, TimeSource.KERNEL])
def test_an_absurdly_small_claim_is_widened_to_its_class(source: TimeSource) -> None:
    clock = IntervalClock(replace(PLAN, agree_ns=0))
    clock.take(reading("one", 0, T0, 0, source=source))
    known = ask(clock, 0).interval
    assert known is not None
    assert known.bound_ns == TIME_FLOOR_NS[source]


def test_late_and_old_readings_do_no_harm() -> None:
    clock = settled()
    ask(clock, 12)
    clock.take(gps(11.5))
    clock.take(gps(3, 5 * NS))
    verdict = ask(clock, 12)
    assert verdict.trusted
    assert verdict.interval is not None
    assert verdict.interval.earliest_ns <= T0 + 12 * NS <= verdict.interval.latest_ns


def test_instants_beside_now_are_wider_on_both_sides() -> None:
    clock = settled()
    here = clock.at(11 * NS)
    for at_s in (9, 13):
        beside = clock.at(at_s * NS)
        assert beside.earliest_ns <= T0 + at_s * NS <= beside.latest_ns
        assert beside.bound_ns == here.bound_ns + 2 * 50_000


def test_asking_often_does_not_widen_it() -> None:
    clock = settled()
    for step in range(5000):
        clock.now(11 * NS + step * MS // 5)
    assert ask(clock, 12).reach_ns == 1000 + 50_000


def test_intervals_widen_outwards_and_contradictions_have_no_meeting() -> None:
    one = UtcInterval(at_ns=0, earliest_ns=0, latest_ns=1)
    assert one.moved(1, 1) == UtcInterval(at_ns=1, earliest_ns=0, latest_ns=3)
    assert one.meet(UtcInterval(at_ns=0, earliest_ns=2, latest_ns=3)) is None


def test_a_few_thousand_honest_histories_hold_the_truth() -> None:
    tally = Tally()
    for seed in range(2000):
        honest(seed, tally)
    assert tally.trusted > tally.instants // 4
    assert {"ok", "holdover", "bound over budget", "stale"} <= tally.causes


@pytest.mark.attack(37)
def test_a_few_thousand_histories_with_a_liar_stay_within_the_budget() -> None:
    tally = Tally()
    for seed in range(2000):
        spoofed(seed, tally)
    assert tally.lying_and_trusted > 100
    assert tally.caught > 2000


# -- place ---------------------------------------------------------------------------------------------------------

HERE = PositionFix(lat_e7=369_500_000, lon_e7=-763_000_000, radius_mm=3_000, source=PositionSource.GPS, trusted=True)
MAST = replace(HERE, source=PositionSource.SURVEYED, radius_mm=1_000)


def seen(at_s: float, fix: PositionFix = HERE, standing: SourceStanding = SourceStanding.GOOD) -> Reading:
    return Reading(name="gps", at_ns=round(at_s * NS), standing=standing, position=fix)


def north(metres: float) -> PositionFix:
    return replace(HERE, lat_e7=HERE.lat_e7 + round(metres / 111_000 * 1e7))


def kept(plan: PlacePlan) -> Place:
    place = Place(plan)
    for second in range(12):
        place.take(seen(second))
    assert place.now(11 * NS).trusted
    return place


def test_a_position_needs_agreement_and_then_holds() -> None:
    place = Place(PlacePlan())
    assert place.now(0).status == Cause.NO_SOURCE.value
    place.take(seen(0))
    assert place.now(0).status == Cause.SETTLING.value
    assert kept(PlacePlan()).now(100 * NS).status == Cause.HOLDOVER.value


@pytest.mark.attack(37)
def test_a_mast_does_not_move_however_long_a_receiver_says_so() -> None:
    place = kept(PlacePlan())
    for second in range(12, 60):
        assert place.take(seen(second, north(500)))
        assert place.now(second * NS).status == Cause.JUMP.value
    assert not place.take(seen(60))
    assert place.now(60 * NS).status == Cause.SETTLING.value
    for second in range(61, 71):
        place.take(seen(second))
    assert place.now(70 * NS).trusted


@pytest.mark.attack(37)
def test_a_mast_is_not_led_away_in_small_steps() -> None:
    place = kept(PlacePlan())
    states = []
    for second in range(12, 100):
        place.take(seen(second, north(second - 11)))
        states.append(place.now(second * NS).trusted)
    assert states[0]
    assert not any(states[10:])


@pytest.mark.attack(37)
def test_a_place_before_it_ever_settled_may_be_corrected() -> None:
    place = Place(PlacePlan())
    place.take(seen(0, north(500)))
    for second in range(1, 13):
        place.take(seen(second))
    assert place.now(12 * NS).trusted


def test_what_moves_may_have_moved() -> None:
    place = kept(PlacePlan(speed_mm_per_s=30_000, budget_mm=100_000))
    assert place.now(13 * NS).radius_mm == 3_000 + 2 * 30_000
    assert not place.take(seen(13, north(50)))
    assert place.now(16 * NS).trusted
    assert place.now(18 * NS).status == Cause.OVER_BUDGET.value


@pytest.mark.attack(37)
@pytest.mark.parametrize(
    "standing",
    [
        SourceStanding.SIMULATED,
        SourceStanding.TOO_FEW_SATELLITES,
        SourceStanding.NOT_MEASURED,
        SourceStanding.IMPLAUSIBLE,
        SourceStanding.CONTRADICTORY,
    ],
)
def test_a_doubtful_fix_closes_it(standing: SourceStanding) -> None:
    place = kept(PlacePlan())
    place.take(seen(12, standing=standing))
    assert not place.now(12 * NS).trusted


def test_a_surveyed_place_is_trusted_alone_and_checked_by_a_receiver() -> None:
    assert Place(PlacePlan(surveyed=MAST)).now(0).trusted
    place = kept(PlacePlan(surveyed=MAST))
    assert place.now(11 * NS).source is PositionSource.SURVEYED
    place.take(seen(12, north(30)))
    place.take(seen(13, north(30)))
    assert place.now(13 * NS).status == Cause.DISJOINT.value


@pytest.mark.attack(39)
def test_an_absurdly_small_radius_is_widened() -> None:
    place = Place(PlacePlan(agree_ns=0))
    place.take(seen(0, replace(HERE, radius_mm=0)))
    assert place.now(0).radius_mm == 500


@pytest.mark.feature("S6")
def test_a_moment_later_the_verdict_is_carried_on_until_something_is_heard() -> None:
    clock = IntervalClock(ClockPlan(agree_ns=0))
    clock.take(reading("gps", NS, 10**18, 1000))
    assert clock.carried(NS) is None
    judged = clock.now(NS).fix()
    later = clock.carried(NS + CARRY_NS)
    assert later is not None
    assert (later.earliest_ns, later.latest_ns) == (
        judged.earliest_ns + CARRY_NS - CARRY_NS // 20_000,
        judged.latest_ns + CARRY_NS + CARRY_NS // 20_000,
    )
    assert clock.carried(NS + CARRY_NS + 1) is None
    assert clock.carried(NS - 1) is None
    clock.take(reading("gps", NS + 1, 2 * 10**18, 1000))
    assert clock.carried(NS + 2) is None
    assert not clock.now(NS + 2).trusted


@pytest.mark.feature("S6")
def test_what_is_carried_on_never_passes_the_budget() -> None:
    clock = IntervalClock(ClockPlan(agree_ns=0, budget_ns=1_100, drift_ppb=50_000))
    clock.take(reading("gps", NS, 10**18, 1000))
    assert clock.now(NS).trusted
    assert clock.carried(NS + 1_900_000) is not None
    assert clock.carried(NS + 2_100_000) is None


@pytest.mark.feature("S6")
@pytest.mark.parametrize("changed", ["nothing", "jump", "lost", "unsure", "place", "another source"])
def test_a_source_that_is_asked_is_judged_where_what_it_says_does_not_fit(
    changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time, and in the answer that would be wrong otherwise; what fits costs no judgement for a while."""
    at_ns, after_s = [0], 20.006
    outages = (Outage(from_s=after_s, to_s=60.0, lost=True),) if changed == "lost" else ()
    jumps = (Jump(at_s=after_s, by_ns=5_000_000),) if changed == "jump" else ()
    script = SimClock(utc_at_zero_ns=T0, zero_ns=0, outages=outages, jumps=jumps)

    class Placed(SimulatedSource):
        def ask(self, monotonic_ns: int) -> Reading:
            told = super().ask(monotonic_ns)
            later = monotonic_ns >= round(after_s * NS)
            if changed == "unsure" and later:
                return replace(told, standing=SourceStanding.UNSYNCHRONISED)
            return replace(told, position=HERE) if changed == "place" and later else told

    sources = [Placed("simulated", script)]
    if changed == "another source":
        sources.append(Placed("second", replace(script, error_ns=10_000_000)))
    plan = replace(PLAN, simulated_ok=True, budget_ns=1_000_000, not_before_ns=0)
    surveyed = PositionFix(lat_e7=1, lon_e7=2, radius_mm=10, source=PositionSource.SIMULATED, trusted=True)
    place = PlacePlan(surveyed=surveyed, simulated_ok=True)
    keeper = Timekeeper(plan, place, monotonic_ns=lambda: at_ns[0], asked=sources)
    if changed == "another source":
        keeper._asked = (sources[0],)
    for second in range(21):
        at_ns[0] = second * NS
        keeper.fix()
    assert keeper.fix().time.trusted
    judged: list[int] = []
    judge = IntervalClock._judge
    monkeypatch.setattr(IntervalClock, "_judge", lambda clock, at: (judged.append(at), judge(clock, at))[1])
    keeper._asked = tuple(sources)
    for step in range(1, 6):
        at_ns[0] = 20 * NS + step * (CARRY_NS + 1_000_000)
        told = keeper.fix().time
        assert told.trusted == (changed in {"nothing", "place"})
        assert told.earliest_ns <= T0 + at_ns[0] <= told.latest_ns or not told.trusted
    assert bool(judged) == (changed != "nothing")


@pytest.mark.feature("S3")
def test_an_unsynchronised_clock_says_nothing_of_the_place() -> None:
    surveyed = PositionFix(lat_e7=1, lon_e7=2, radius_mm=10, source=PositionSource.SURVEYED, trusted=True)
    place = Place(PlacePlan(surveyed=surveyed))
    place.take(reading("kernel", NS, standing=SourceStanding.UNSYNCHRONISED))
    assert place.now(NS).trusted


# -- what cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.attack(72)
@pytest.mark.parametrize("off_ns", [-NS, 20 * 365 * 86_400 * NS, 1024 * 7 * 86_400 * NS])
def test_time_before_the_newest_record_or_after_any_use_is_never_believed(off_ns: int) -> None:
    clock = IntervalClock(replace(PLAN, not_before_ns=T0, not_after_ns=T0 + 15 * 365 * 86_400 * NS))
    for second in range(30):
        clock.take(gps(second / 100, off_ns))
        clock.take(chrony(second / 100))
        verdict = ask(clock, second / 100)
        assert (verdict.trusted, verdict.cause) == (False, Cause.IMPLAUSIBLE)


@pytest.mark.attack(72)
@pytest.mark.parametrize("off_ns", [2 * NS, -2 * NS, 18 * NS])
def test_a_source_alone_that_is_seconds_from_the_system_clock_is_not_believed(off_ns: int) -> None:
    clock = IntervalClock(replace(PLAN, host_tolerance_ns=NS))
    for second in range(30):
        clock.witness(second * NS, T0 + second * NS)
        clock.take(gps(second, off_ns))
        assert ask(clock, second).cause is Cause.HOST_DISAGREES
    for second in range(30, 45):
        clock.witness(second * NS, T0 + second * NS + NS // 2)
        clock.take(gps(second))
    assert ask(clock, 44).trusted


def test_a_system_clock_within_the_tolerance_changes_nothing() -> None:
    clock = IntervalClock(replace(PLAN, host_tolerance_ns=NS))
    for second in range(12):
        clock.witness(second * NS, T0 + second * NS - 900_000_000)
        clock.take(gps(second))
    assert ask(clock, 11).trusted


def test_a_receiver_that_contradicts_itself_closes_it_whatever_others_say() -> None:
    clock = settled()
    for second in range(12, 24):
        clock.take(chrony(second))
        clock.take(reading("gps", second * NS, T0, standing=SourceStanding.CONTRADICTORY))
        assert ask(clock, second).cause is Cause.CONTRADICTORY


@pytest.mark.attack(68)
def test_a_host_that_slept_wins_trust_again_from_new_readings_only() -> None:
    clock, slept_ns = settled(), 7200 * NS
    early_ns = ask(clock, 11).fix().earliest_ns
    clock.woken(11 * NS)
    assert (ask(clock, 11).trusted, ask(clock, 11).cause) == (False, Cause.SUSPENDED)
    clock.take(gps(10.5))
    assert ask(clock, 11.5).cause is Cause.SUSPENDED, "heard before it slept"
    for second in range(12, 22):
        clock.take(gps(second, slept_ns))
        assert not ask(clock, second).trusted
    clock.take(gps(22, slept_ns))
    fix = ask(clock, 22).fix()
    assert fix.trusted
    assert fix.earliest_ns > early_ns + slept_ns


@pytest.mark.attack(68)
def test_the_keeper_sees_that_the_host_slept_before_it_answers() -> None:
    mono_ns, slept_ns = [0], [0]
    keeper = Timekeeper(
        PLAN, PlacePlan(agree_ns=0), monotonic_ns=lambda: mono_ns[0], boottime_ns=lambda: mono_ns[0] + slept_ns[0]
    )
    for second in range(12):
        mono_ns[0] = second * NS
        keeper.clock.take(gps(second))
        keeper.fix()
    assert keeper.fix().time.trusted
    slept_ns[0] = 7200 * NS
    assert (keeper.fix().time.trusted, keeper.fix().time.status) == (False, Cause.SUSPENDED.value)


HOURS_NS = 3 * 3600 * NS
STEPS = {"hours ahead": HOURS_NS, "hours back": -HOURS_NS, "a leap second": -NS, "a second left out": NS}


def stepped(*, gnss: bool) -> tuple[Timekeeper, list[int], Callable[[int], None]]:
    """A keeper that trusts the system's clock, or a receiver beside it; its hands: monotonic time, then a second more.

    The seconds go on with the system's clock off by what is said.
    """
    mono_ns = [0]
    off_ns = [0]
    plan = replace(PLAN, host_tolerance_ns=NS // 2 if gnss else None)
    keeper = Timekeeper(
        plan, PlacePlan(agree_ns=0), monotonic_ns=lambda: mono_ns[0], system_ns=lambda: T0 + mono_ns[0] + off_ns[0]
    )
    synchronised = KernelState(synchronised=True, max_error_ns=1000, status=0, tai_offset_s=37)

    def second(off: int) -> None:
        mono_ns[0] += NS
        off_ns[0] = off
        if gnss:
            keeper._waiting.append(gps(mono_ns[0] / NS))
        else:
            pair = Paired(mono_ns=mono_ns[0], utc_ns=T0 + mono_ns[0] + off, slack_ns=100)
            keeper._waiting.append(reading_of("kernel", synchronised, pair, least_ns=100_000))

    for _ in range(12):
        second(0)
        keeper.fix()
    assert keeper.fix().time.trusted
    return keeper, mono_ns, second


@pytest.mark.attack(36)
@pytest.mark.parametrize("step_ns", list(STEPS.values()), ids=list(STEPS))
@pytest.mark.parametrize("gnss", [False, True], ids=["kernel alone", "beside a receiver"])
def test_a_system_clock_that_is_set_closes_it_at_the_next_reading(step_ns: int, gnss: bool) -> None:
    keeper, mono_ns, second = stepped(gnss=gnss)
    before = keeper.fix().time
    mono_ns[0] += NS // 2
    fix = keeper.fix().time  # set by now, and nothing was read since: what is known goes on by the monotonic clock
    assert fix.trusted
    assert fix.earliest_ns - before.earliest_ns < NS // 2 + 1
    for _ in range(60):
        second(step_ns)
        fix = keeper.fix().time
        assert not fix.trusted
        assert fix.status == (Cause.HOST_DISAGREES if gnss else Cause.JUMP).value
        assert fix.earliest_ns <= T0 + mono_ns[0] <= fix.latest_ns, "what it holds is not led along"
    again = []
    for _ in range(13):
        second(0)
        again.append(keeper.fix().time.trusted)
    assert again.index(True) in (10, 11), "set right: trust has to be won again"


@pytest.mark.attack(72)
def test_the_latest_time_outlives_a_restart_and_nonsense_in_its_file(tmp_path: Path) -> None:
    memory = TimeMemory(tmp_path / "agent.time")
    assert memory.known() == 0
    memory.keep(BUILT_NS + NS)
    assert TimeMemory(tmp_path / "agent.time").known() == BUILT_NS + NS
    for nonsense in (b"", b"soon", b"9" * 400, b"-5", b"\xff\x00"):
        (tmp_path / "agent.time").write_bytes(nonsense)
        assert memory.known() == 0
    TimeMemory(tmp_path / "missing" / "agent.time").keep(BUILT_NS)
    assert [path.name for path in tmp_path.iterdir()] == ["agent.time"]


def test_an_instant_judged_once_has_the_same_verdict_when_it_is_judged_again() -> None:
    """Whatever is heard, doubted, witnessed or slept through between: `now` says what a clock says that judges anew."""
    rng = np.random.default_rng(11)
    plan = replace(PLAN, agree_ns=2 * NS, host_tolerance_ns=3 * MS)
    causes = set()
    for _ in range(60):
        clocks = IntervalClock(plan), IntervalClock(plan)
        at_s, off_ns = 0.0, 0
        for _ in range(60):
            at_s += float(rng.choice([0.0, 0.3, 1.0, 4.0], p=[0.2, 0.3, 0.45, 0.05]))
            off_ns = int(rng.choice([off_ns, 0, 20_000, 5 * MS], p=[0.8, 0.15, 0.04, 0.01]))
            said = (gps if rng.random() < 0.6 else chrony)(at_s, off_ns)
            act, at_ns = rng.random(), round(at_s * NS)
            for clock in clocks:
                clock.take(said)
                if act < 0.03:
                    clock.suspect("gps", at_ns)
                elif act < 0.2:
                    clock.witness(at_ns, T0 + at_ns + (10 * MS if act < 0.06 else 0))
                elif act < 0.22:
                    clock.woken(at_ns)
            clocks[1]._judged = None
            one, other = (clock.now(at_ns) for clock in clocks)
            assert one == other
            causes.add(one.cause)
    assert {Cause.OK, Cause.SETTLING, Cause.JUMP, Cause.HOST_DISAGREES, Cause.SUSPENDED} <= causes
