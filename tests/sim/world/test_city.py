"""A city in virtual time: hundreds of members who hear few others, over hours, and not one invariant broken."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from settlement.pair.deadlines import Deadlines
from sim.world.__main__ import main
from sim.world.city import City, run_city
from sim.world.cityplan import HEARING_M, QUIET_NS, CityPlan, city_plan
from sim.world.citytrust import area_of, block_band
from sim.world.plan import NS, Act
from sim.world.shrink import shrunk
from tests.sim.world import broken

pytestmark = pytest.mark.feature("S7")
ROOT = Path(__file__).resolve().parents[3]


class KeptCity(City):
    """A city that a test looks into once it is over."""

    last: "KeptCity"

    def end(self):  # type: ignore[no-untyped-def]
        self.known = {one.name: set(one.known) for one in self.members.values()}
        self.logged = {one.name: one.log.size if one.log else 0 for one in self.members.values()}
        self.credentials = {
            one.name: one.party.registry.subjects() if one.party is not None else () for one in self.members.values()
        }
        KeptCity.last = self
        return super().end()


def test_a_plain_city_settles_and_nobody_knows_more_than_it_can_hear() -> None:
    plan = city_plan(3, nodes=48, hours=1, wants_per_hour=0.8, moves_per_hour=1.0)
    found = run_city(plan, world=KeptCity)
    counts, city = found.outcome.counts, KeptCity.last
    assert not found.outcome.breaches, found.outcome.breaches[0]
    assert counts["own confirm"] >= 10
    assert counts["own renew"] > 0
    assert counts["emissions"] >= counts["own confirm"] // 2
    assert counts["joined"] > 0
    assert counts["left"] > 0
    assert counts["moved"] > 0
    moved = {act.who for act in plan.acts if act.what == "move"}
    spots = dict(zip((role.name for role in plan.roles), plan.spots, strict=True))
    for name, known in city.known.items():
        assert len(known) < len(plan.roles)
        for other in known - moved if name not in moved else ():
            assert spots[name].away_m(spots[other]) <= HEARING_M
    for name, subjects in city.credentials.items():
        assert {one.name for one in subjects} <= city.known[name] | {"root"}


def test_two_holders_of_one_block_never_reach_the_same_place() -> None:
    plan = city_plan(0, nodes=256, hours=1)
    holders = [(spot, block) for spot, block in zip(plan.spots, plan.blocks, strict=True) if block is not None]
    assert len(holders) == 64
    for number, (here, block) in enumerate(holders):
        for there, other in holders[:number]:
            apart = not area_of(here).overlaps(area_of(there))
            assert apart or not block_band(block).overlaps(block_band(other))


def test_faults_without_limit_break_nothing_and_are_never_mended() -> None:
    plan = city_plan(2, nodes=12, hours=2, faults="unlimited", wants_per_hour=4.0)
    assert plan.heals_ns == plan.ends_ns
    found = run_city(plan)
    counts = found.outcome.counts
    assert not found.outcome.breaches, found.outcome.breaches[0]
    assert counts["own confirm"] > 0
    for what in ("lost", "copied", "late", "crash", "cheated", "refused REPLAY", "refused STALE"):
        assert counts[what] > 0, what


def test_faults_that_end_leave_both_sides_of_each_settlement_with_one_decision() -> None:
    plan = city_plan(5, nodes=12, hours=2, faults="some", wants_per_hour=3.0)
    acts = tuple(act for act in plan.acts if act.what != "leave")
    assert plan.heals_ns == plan.ends_ns - QUIET_NS
    found = run_city(replace(plan, acts=acts))
    assert not found.outcome.breaches, found.outcome.breaches[0]
    assert found.outcome.counts["own confirm"] > 3


def test_a_city_replays_exactly() -> None:
    """In another process as well, whatever its hash seed."""
    here = run_city(city_plan(7, nodes=8, hours=1, faults="some")).outcome.trace
    command = [sys.executable, "-m", "sim.world", "--seed", "7", "--nodes", "8", "--hours", "1", "--faults", "some"]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "PATH": ""}
    said = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert here in said.stdout
    assert "every invariant holds" in said.stdout
    assert "x real" in said.stdout


def test_a_broken_program_is_caught_in_a_city_and_the_run_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    broken.ignore_the_window(monkeypatch)
    plan = city_plan(4, nodes=8, hours=1, wants_per_hour=6.0)
    found = run_city(plan)
    assert found.outcome.breaches[0].invariant == "I17"
    small = shrunk(plan, world=City, runs_max=60)
    assert small is not None
    assert len(small.plan.acts) <= 20
    assert small.breach.invariant == "I17"
    assert "--nodes 8" in small.report(" --nodes 8")


def test_whoever_leaves_its_area_is_silent_at_once() -> None:
    """A user on the air is carried to the other end of the city."""
    plan = city_plan(0, nodes=16, hours=1)
    user = next(role.name for role in plan.roles if role.asks)
    acts = [act for act in plan.acts if act.what == "offer"]
    acts += [Act(at_ns=90 * NS + n, what="request", who=user, number=n) for n in range(6)]
    still = _emitted(replace(plan, acts=tuple(acts), absent=frozenset()), user)
    away = [Act(at_ns=150 * NS, what="move", who=user, number=number) for number in range(40)]
    left = _emitted(replace(plan, acts=(*acts, *away[-1:]), absent=frozenset()), user)
    assert max(still) > 160 * NS
    assert any(end_ns <= 151 * NS for end_ns in left)
    assert sum(end_ns > 151 * NS for end_ns in left) < sum(end_ns > 151 * NS for end_ns in still)


def _emitted(plan: CityPlan, user: str) -> list[int]:
    """When each emission of a user ended."""
    ends: list[int] = []

    class Watched(City):
        def _radiated(self, emissions):  # type: ignore[no-untyped-def]
            ends.extend(one.end_ns for one in emissions if one.user == user)
            super()._radiated(emissions)

    assert not run_city(plan, world=Watched).outcome.breaches
    return ends


def test_a_city_has_its_limits() -> None:
    for wrong in ({"nodes": 1, "hours": 1}, {"nodes": 4, "hours": 0}, {"nodes": 4, "hours": 1, "faults": "many"}):
        with pytest.raises(ValueError, match="at least"):
            city_plan(0, **wrong)  # type: ignore[arg-type]


def test_the_next_deadline_is_that_of_what_was_set_last() -> None:
    deadlines = Deadlines()
    assert deadlines.next_ns() is None
    deadlines.set(b"a", 30)
    deadlines.set(b"b", 20)
    assert deadlines.next_ns() == 20
    deadlines.set(b"b", 50)
    assert deadlines.next_ns() == 30
    assert deadlines.due(30) == [b"a"]
    assert deadlines.next_ns() == 0
    deadlines.forget(b"a")
    assert deadlines.next_ns() == 50
    deadlines.forget(b"b")
    assert deadlines.next_ns() is None


@pytest.mark.parametrize("words", [["--nodes", "2"], ["--seed", "1"]])
def test_a_run_that_is_interrupted_ends_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("run_city", "run_plan"):
        monkeypatch.setattr(f"sim.world.__main__.{name}", interrupted)
    monkeypatch.setattr("sys.argv", ["sim.world", *words])
    assert main() == 130
    assert capsys.readouterr().err == "interrupted\n"
