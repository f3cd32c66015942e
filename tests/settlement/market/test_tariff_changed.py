"""A tariff that changed between REQUEST and GRANT, or between GRANT and ACCEPT: refused, and both logs say why."""

from dataclasses import replace
from pathlib import Path

import pytest

from settlement.chain.scope import Window
from settlement.core.reasons import Reason
from settlement.pair.table import HolderState, UserState
from settlement.records.marketterms import Tariff
from tests.settlement.market.classed import GIVEN, ask, enrolled, hand, offered
from tests.settlement.world import BAND, LOWER, NS, RULE, T0, TERMS, World

TURN_S = 2.0
CHEAP, DEAR = Tariff(base=5, per_mhz_s=0), Tariff(base=50, per_mhz_s=0)


def turning(folder: Path) -> tuple[World, bytes]:
    """A rule whose tariff is cheap until two seconds in, and dear from then on; everybody knows both."""
    first = replace(
        RULE,
        effective=Window(start_ns=T0 - 3600 * NS, end_ns=T0 + round(TURN_S * NS)),
        classes=(replace(TERMS, tariff=CHEAP),),
    )
    world = World(folder, rule=first, given={"classes": GIVEN["classes"]})
    world.schemas = []  # type: ignore[attr-defined]
    enrolled(world, ("holder",), ("alice",))
    second = replace(
        first,
        version=2,
        previous=world.members["holder"].party.rule.hash,
        effective=Window(start_ns=T0 + round(TURN_S * NS), end_ns=T0 + 3600 * NS),
        classes=(replace(TERMS, tariff=DEAR),),
    )
    raw = world.by_authority(second, 0.1)
    for name in world.members:
        assert hand(world, name, raw, 0.2) is None
    world.carry(0.3)
    return world, offered(world, "holder", BAND, "cbrs", ("alice",), price_form="parametric", price=0)


@pytest.mark.feature("M3")
def test_a_request_at_the_old_tariff_is_refused_with_the_new_price(tmp_path: Path) -> None:
    world, name = turning(tmp_path)
    party = world.members["alice"].party
    offer = party.user.offers[name]
    cell = replace(offer.body.cell, band=LOWER, window=Window(start_ns=T0 + 5 * NS, end_ns=T0 + 9 * NS))
    world.do("alice", 1.9, lambda step: party.user.request(step, offer, cell, eirp_mdbm=20_000, price=5))
    refusals = world.carry(TURN_S + 0.3)
    assert (refusals[0].reason, refusals[0].clause) == (Reason.PRICE, "request.price")
    assert (refusals[0].measured, refusals[0].required) == ("5", "50")
    assert not world.members["holder"].party.holder.pairs
    (pair,) = party.user.pairs.values()
    assert pair.state == UserState.REFUSED


@pytest.mark.feature("M3")
def test_a_grant_under_the_old_tariff_is_not_confirmed_under_the_new_one(tmp_path: Path) -> None:
    world, name = turning(tmp_path)
    party = world.members["alice"].party
    offer = party.user.offers[name]
    cell = replace(offer.body.cell, band=LOWER, window=Window(start_ns=T0 + 5 * NS, end_ns=T0 + 9 * NS))
    world.do("alice", 1.7, lambda step: party.user.request(step, offer, cell, eirp_mdbm=20_000, price=5))
    for sender, to in (("alice", "holder"), ("holder", "alice")):
        waiting, world.members[sender].outgoing = world.members[sender].outgoing, []
        for out in waiting:
            world.give(sender, to, out.data, 1.8)
    refusals = world.carry(TURN_S + 0.3)
    assert refusals[0].clause == "accept.rule"
    (held,) = world.members["holder"].party.holder.pairs.values()
    assert held.state == HolderState.ABORTED
    again, _ = ask(world, "alice", name, LOWER, TURN_S + 0.5, price=50)
    assert again.state == UserState.SETTLED
