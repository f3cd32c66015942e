"""Tests that a base station gets no grant in a band that its user has handed on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.node.loans import Lending
from radio.cbrs.permission import Given, Withheld
from settlement.chain.records import Record
from settlement.core.reasons import Reason
from settlement.records.handingterms import TRANSFER, HandingTerms
from settlement.state.handovers import WantedHandover, hand_on
from tests.agent.cbrs.test_loans import DEVICE, HoldersWarden, Stations
from tests.settlement.test_suspension import WAITS
from tests.settlement.world import HOLDER_ACTIONS, NS, USER_ACTIONS

pytestmark = [pytest.mark.feature("R12", "M10"), pytest.mark.attack(75)]


def lender(tmp_path: Path, *, consent: int = 1) -> tuple[Stations, HoldersWarden, Lending]:
    """A holder that lends a lease of alice's to her base station."""
    Stations.device = DEVICE
    handing = HandingTerms(kinds=("transfer", "sublease"), depth=2, consent=consent)
    terms = replace(WAITS.classes[0], vacate_ns=2 * NS, handing=handing)
    world = Stations(tmp_path, rule=replace(WAITS, classes=(terms, *WAITS.classes[1:])))
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
    world.offer()
    world.carry(0.5)
    warden = HoldersWarden(world)
    lending = Lending(world.members["holder"].party, frozenset({DEVICE}), warden, lambda _what, _sid: None)
    world.settle(start_s=2.0, end_s=30.0)
    return world, warden, lending


def handed_on(world: Stations) -> list[Any]:
    """Alice hands her lease on to bob; what of it was refused by anybody."""
    alice = world.members["alice"].party
    (sid,) = [pair.sid for pair in alice.user.busy.values()]
    wanted = WantedHandover(sid=sid, kind=TRANSFER, to=world.members["bob"].hash)
    made: Any = world.do("alice", 3.1, lambda step: hand_on(alice, step, wanted))
    assert isinstance(made, Record), made
    return [(one.reason, one.clause) for one in world.carry(3.1)]


@pytest.mark.parametrize("turned", [True, False], ids=["lent", "the holder's agent has just started"])
def test_a_holder_consents_to_no_handover_of_what_its_base_stations_may_have(tmp_path: Path, turned: bool) -> None:
    """A warden apart goes on answering by what it was handed while the agent that handed it over starts again."""
    world, warden, lending = lender(tmp_path)
    lending.turn()
    assert isinstance(warden.ask(3.0), Given)
    if not turned:
        again = Lending(world.members["holder"].party, frozenset({DEVICE}), warden, lambda _what, _sid: None)
        assert again.handed == {}
    assert handed_on(world) == [(Reason.CONSENT, "handing.lent")]
    assert isinstance(warden.ask(3.3), Given)


def test_what_is_handed_on_is_not_lent_to_its_old_users_base_station(tmp_path: Path) -> None:
    """The holder consented while its list had no such base station."""
    world, warden, lending = lender(tmp_path)
    lending.members = frozenset()
    assert handed_on(world) == [], "the holder consents"
    lending.members = frozenset({DEVICE})
    warden.now_s = 3.2
    lending.turn()
    found = warden.ask(3.3)
    assert isinstance(found, Withheld), "another has it, and it is given to the first all the same"


def test_nothing_is_lent_of_a_lease_that_changes_hands_without_its_holders_consent(tmp_path: Path) -> None:
    """Nobody tells this holder that its user handed the lease on, and the next user's radio may be on by then."""
    world, warden, lending = lender(tmp_path, consent=0)
    lending.turn()
    assert warden.handed == 1, "the warden has it, and judges by itself"
    found = warden.ask(3.0)
    assert isinstance(found, Withheld), "given, and handed on unheard"
    assert found.reason == Reason.CONSENT.value
    assert "handing.consent" in found.detail
    assert handed_on(world) == [], "and nobody asked the holder"
