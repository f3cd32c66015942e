"""Stateful tests of the protocol: hypothesis acts as network, clock, disk and user."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sim.world.member import Member
from sim.world.plan import LAYOUTS, MS, NS, Act, Plan, Weather
from sim.world.run import World

CALM = Weather(drop_ppt=0, duplicate_ppt=0, late_ppt=0, delay_ns_max=MS, late_ns_max=MS)
NAMES = st.sampled_from([role.name for role in LAYOUTS[1]])
USERS = st.sampled_from([role.name for role in LAYOUTS[1] if role.asks])
DRAWN = st.integers(0, 2**32 - 1)


class HandedWorld(World):
    """Messages wait until somebody hands them on; a message may be handed on many times, or never."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        super().__init__(plan, folder)
        self.held: list[tuple[Member, Member, bytes]] = []
        self.by_hand = True

    def carry(self, sender: Member, to: Member, data: bytes) -> None:
        if self.by_hand:
            self.held.append((sender, to, data))
        else:
            super().carry(sender, to, data)

    def hand(self, number: int, *, keep: bool) -> None:
        sender, to, data = self.held[number % len(self.held)] if keep else self.held.pop(number % len(self.held))
        self.deliver(sender.transport, to, data)


class Neighbours(RuleBasedStateMachine):
    """One holder, two users, and anything at all in between."""

    happened: ClassVar[Counter[str]] = Counter()

    @initialize(quorum=st.sampled_from([0, 2]), bound_ns=st.sampled_from([1_000, 900_000]))
    def begin(self, quorum: int, bound_ns: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bandpact-"))
        plan = Plan(
            seed=1,
            roles=LAYOUTS[1],
            quorum=quorum,
            budget_hz_s=None,
            status=False,
            bound_ns=bound_ns,
            weather=CALM,
            acts=(),
        )
        self.world = HandedWorld(plan, self.folder)
        self.world.by_hand = False
        for number, member in enumerate(self.world.members.values()):
            self.world.at(number, self.world._starter(member))
        self.world.at(400 * MS, self.world._actor(Act(at_ns=0, what="offer", who="hall")))
        self.world.advance(2 * NS)
        self.world.by_hand = True
        self.world.advance(4 * NS)

    def act(self, what: str, who: str, number: int = 0) -> None:
        self.world._actor(Act(at_ns=self.world.now_ns, what=what, who=who, number=number))()

    @rule(who=USERS, number=DRAWN)
    def request(self, who: str, number: int) -> None:
        self.act("request", who, number)

    @rule(number=DRAWN)
    def preempt(self, number: int) -> None:
        self.act("preempt", "hall", number)

    @rule(who=USERS, number=DRAWN)
    def relinquish(self, who: str, number: int) -> None:
        self.act("relinquish", who, number)

    @precondition(lambda self: self.world.held)
    @rule(number=st.integers(0, 50), keep=st.booleans())
    def hand_on(self, number: int, keep: bool) -> None:
        self.world.hand(number, keep=keep)

    @precondition(lambda self: self.world.held)
    @rule()
    def hand_all_on(self) -> None:
        waiting, self.world.held = self.world.held, []
        for sender, to, data in waiting:
            self.world.deliver(sender.transport, to, data)

    @precondition(lambda self: self.world.held)
    @rule(number=st.integers(0, 50))
    def lose(self, number: int) -> None:
        self.world.held.pop(number % len(self.world.held))

    @rule(ms=st.sampled_from([1, 160, 700, 1600]))
    def wait(self, ms: int) -> None:
        self.world.advance(self.world.now_ns + ms * MS)

    @rule(
        who=NAMES, how=st.sampled_from(["crash", "crash mid", "crash unsent", "disk full"]), number=st.integers(0, 11)
    )
    def die(self, who: str, how: str, number: int) -> None:
        self.act(how, who, number)

    @rule(who=NAMES, how=st.sampled_from(["clock step", "clock wide", "clock lost", "clock back"]))
    def mistime(self, who: str, how: str) -> None:
        self.act(how, who)

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "world"):
            assert not self.world.monitor.breaches, str(self.world.monitor.breaches[0])

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.by_hand = False
            self.world._heal()
            self.world.advance(self.world.now_ns + 4 * NS)
            outcome = self.world.end()
            assert not outcome.breaches, str(outcome.breaches[0])
            Neighbours.happened.update(outcome.counts)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.mark.feature("S7")
@pytest.mark.timeout(300)
def test_hypothesis_breaks_nothing() -> None:
    run_state_machine_as_test(
        Neighbours,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    missing = [
        what
        for what in ("own confirm", "own renew", "own abort", "crash", "emissions")
        if not Neighbours.happened[what]
    ]
    assert not missing, Neighbours.happened
