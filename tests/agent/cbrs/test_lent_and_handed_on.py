"""A base station has nothing more of what its user handed on to somebody else."""

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


@pytest.mark.parametrize("lent_first", [True, False], ids=["lent first", "handed on first"])
def test_what_is_handed_on_is_not_lent_to_its_old_users_base_station(tmp_path: Path, lent_first: bool) -> None:
    Stations.device = DEVICE
    handing = HandingTerms(kinds=("transfer", "sublease"), depth=2, consent=1)
    terms = replace(WAITS.classes[0], vacate_ns=2 * NS, handing=handing)
    world = Stations(tmp_path, rule=replace(WAITS, classes=(terms, *WAITS.classes[1:])))
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
    world.offer()
    world.carry(0.5)
    warden = HoldersWarden(world)
    lending = Lending(world.members["holder"].party, frozenset({DEVICE}), warden, lambda _what, _sid: None)
    world.settle(start_s=2.0, end_s=30.0)
    if lent_first:
        lending.turn()
        assert isinstance(warden.ask(3.0), Given)
    alice = world.members["alice"].party
    (sid,) = [pair.sid for pair in alice.user.busy.values()]
    wanted = WantedHandover(sid=sid, kind=TRANSFER, to=world.members["bob"].hash)
    made: Any = world.do("alice", 3.1, lambda step: hand_on(alice, step, wanted))
    assert isinstance(made, Record), made
    refused = world.carry(3.1)
    warden.now_s = 3.2
    lending.turn()
    found = warden.ask(3.3)
    if lent_first:
        assert [(one.reason, one.clause) for one in refused] == [(Reason.CONSENT, "handing.lent")]
        assert isinstance(found, Given)
    else:
        assert refused == [], "the holder consents"
        assert isinstance(found, Withheld), "another has it, and it is given to the first all the same"
