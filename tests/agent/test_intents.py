"""Who says what it looks for costs its own share, and takes nobody's place among those who are answered."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from agent.config.settings import OfferSection
from agent.node.intents import OF_ONE_MAX, IntentsAsked
from agent.node.policy import AGAIN_NS, STANDING_MAX, HolderPolicy
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason
from settlement.pair.effects import AnswerIntent
from settlement.state.shares import Allowance, Share, Shares
from tests.settlement.market.classed import window
from tests.settlement.world import AREA, BAND, NS, T0, trio

pytestmark = [pytest.mark.feature("M2"), pytest.mark.attack(65)]
CELL = Cell(band=BAND, area=AREA, window=window())
HELD = OfferSection(low_hz=BAND.low_hz, high_hz=BAND.high_hz, commodity="cbrs", max_eirp_mdbm=1, for_s=60)


def intent(user: bytes) -> AnswerIntent:
    return AnswerIntent(user=user, cell=CELL, commodity="cbrs")


def test_a_flood_of_intents_takes_no_other_users_turn() -> None:
    asked = IntentsAsked()
    asked.take(intent(b"alice"))
    for _ in range(200):
        asked.take(intent(b"mallory"))
    answered = [one.user for _ in range(10) if (one := asked.due(NS)) is not None]
    assert answered[:2] == [b"alice", b"mallory"], "by turns"
    assert answered.count(b"mallory") == OF_ONE_MAX
    for _ in range(200):
        asked.take(intent(b"mallory"))
    asked.take(intent(b"alice"))
    assert asked.due(NS) == intent(b"alice"), "whoever asks now and then is answered at once"
    assert asked.due(NS) is None
    assert asked.due(2 * NS) == intent(b"mallory"), "one a second"
    assert asked.due(2 * NS) is None


def test_of_one_users_intents_few_wait_and_users_take_turns() -> None:
    asked = IntentsAsked()
    for _ in range(200):
        asked.take(intent(b"mallory"))
    asked.take(intent(b"alice"))
    asked.take(intent(b"alice"))
    users = [one.user for _ in range(4) if (one := asked.due(NS)) is not None]
    assert users == [b"mallory", b"alice", b"mallory", b"alice"], "by turns"
    later = [one for second in range(2, 300) if (one := asked.due(second * NS)) is not None]
    assert len(later) == OF_ONE_MAX - 2, "the oldest of too many gave way"


def test_what_everybody_was_just_offered_is_not_said_again_for_one() -> None:
    policy = HolderPolicy(Mock())
    policy.note(HELD, T0)
    part = HELD.model_copy(update={"high_hz": HELD.low_hz + 1_000_000})
    assert policy.said_lately(part, T0 + 1)
    assert policy.said_lately(HELD, T0 + AGAIN_NS - 1)
    assert not policy.said_lately(HELD, T0 + AGAIN_NS), "who came since has not heard it"
    assert not policy.said_lately(part.model_copy(update={"commodity": "storage"}), T0 + 1)
    assert not policy.said_lately(part.model_copy(update={"high_hz": HELD.high_hz + 1}), T0 + 1)


def test_what_intents_cut_of_an_offer_does_not_stand_beside_it_without_end() -> None:
    policy = HolderPolicy(Mock())
    policy.stand(HELD, T0 + 60 * NS)
    for number in range(100):
        policy.stand(HELD.model_copy(update={"low_hz": HELD.low_hz + number}), T0 + 60 * NS)
    assert policy.standing == [(HELD, T0 + 60 * NS)]
    for number in range(100):
        policy.stand(HELD.model_copy(update={"high_hz": HELD.high_hz + 1 + number}), T0 + 60 * NS)
    assert len(policy.standing) == STANDING_MAX, "no more than users keep of one holder"


def test_what_a_word_brings_about_is_its_authors_cost(tmp_path: Path) -> None:
    world, worked = trio(tmp_path), [0]
    party = world.members["holder"].party
    half = Share(per_s=NS // 4, burst=NS // 2)
    party.shares = Shares(allowance=Allowance(work=half), meter=lambda: worked[0])
    key, done = world.members["alice"].transport, list[int]()

    def dear() -> None:
        worked[0] += NS
        done.append(worked[0])

    for _ in range(3):
        world.do("holder", 1.0, lambda step: party.at_cost_of(step, key, dear))
    assert len(done) == 1, "its share is used up"
    assert world.give("alice", "holder", b"\x00", 1.0).reason is Reason.BUDGET  # type: ignore[union-attr]
    other = world.give("bob", "holder", b"\x00", 1.0)
    assert other is not None
    assert other.reason is not Reason.BUDGET
    world.do("holder", 9.0, lambda step: party.at_cost_of(step, key, dear))
    assert len(done) == 2, "and is paid off in time"
