"""A holder that moves a settlement has its user sign for nothing dearer than what it asked for, and no other class."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.pair.holdermove import SubstituteOffer
from settlement.records.complaint import Fallback
from settlement.records.market import Request
from tests.settlement.disputes.court import Court
from tests.settlement.world import NS, T0, UPPER

pytestmark = [pytest.mark.feature("M6"), pytest.mark.attack(61)]


def moved_to(court: Court, at_s: float = 10.0, *, first: bool = True, **changes: Any) -> None:
    """The holder offers something else, before or after it moves the settlement there, as nobody honest would."""
    party, pair = court.holder, court.holder.holder.pairs[court.sid]
    offered = replace(next(iter(party.holder.offers.values())), **changes)

    def offer(step: Any) -> bytes:
        record = party.holder.declare(step, offered)
        step.send(court.world.members["alice"].hash, record.raw)
        return record.digest  # type: ignore[no-any-return]

    name = court.world.do("holder", at_s - 0.5, offer)
    late = [] if first else list(court.world.members["holder"].outgoing)
    if first:
        court.world.carry(at_s - 0.5)
    else:
        court.world.members["holder"].outgoing = []

    def act(step: Any) -> Any:
        own = next(one for one in party.holder.offers if one != name)
        plan = party.holder.moves.plan(
            step, pair, UPPER, SubstituteOffer(declaration=own, body=party.holder.offers[own], by="holder", own=True),
            me="holder",
        )  # fmt: skip
        assert isinstance(plan, Fallback), plan
        return party.holder.moves.move(step, pair, replace(plan, declaration=name))

    if not first:  # nothing else that the substitute could be asked from
        court.alice.user.offers.clear()
    court.world.do("holder", at_s, act)
    court.world.carry(at_s + 0.1)
    for one in late:
        court.world.give("holder", "alice", one.data, at_s + 0.2)
    court.world.do("alice", at_s + 0.3, court.alice.tick)


def substitutes(court: Court) -> list[Request]:
    return [one for one in court.all("alice", Request) if one.replaces is not None]


@pytest.mark.parametrize("first", [True, False], ids=["offered first", "offered after"])
def test_a_user_that_is_moved_does_not_pay_what_it_never_asked_for(tmp_path: Path, first: bool) -> None:
    court = Court(tmp_path)
    court.settle()
    window = replace(next(iter(court.holder.holder.offers.values())).cell.window, end_ns=T0 + 299 * NS)
    cell = replace(next(iter(court.holder.holder.offers.values())).cell, window=window)
    moved_to(court, first=first, price=100, cell=cell)
    asked = substitutes(court)
    assert [one.price for one in asked if one.price > 7] == [], "the user's agent signed for 100 instead of 7"
