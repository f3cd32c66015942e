"""An invoice from logs alone: what both signed, each settlement once though it stands in two logs, debts once heard."""

from dataclasses import replace
from pathlib import Path

import pytest

from settlement.audit.invoice import invoice
from settlement.audit.lease import LogEntry, read_entries
from settlement.chain.credentials import Registry
from tests.settlement.market.test_displacement import OWED, PRICE, ask, town
from tests.settlement.quorum.auctions import AuctionWorld
from tests.settlement.world import NETWORK, World


def logs(world: World, *names: str) -> dict[str, list[LogEntry]]:
    registry = Registry(NETWORK, world.anchors)
    bodies = {name: list(world.members[name].party.lineage.bodies()) for name in names}
    return {name: list(read_entries(enumerate(found), registry)) for name, found in bodies.items()}


@pytest.mark.feature("M3")
def test_prices_and_compensation_by_party_and_day(tmp_path: Path) -> None:
    world = town(tmp_path)
    ask(world, "rescue", 2, 10.0, 15, 30, emergency=True)
    assert world.carry(10.0) == []
    lines = invoice(logs(world, "holder", "alice", "rescue"))
    assert [(one.payer, one.payee, one.settlements, one.price, one.compensation) for one in lines] == [
        ("alice", "holder", 1, PRICE, 0),
        ("holder", "alice", 0, 0, OWED),
        ("rescue", "holder", 1, PRICE, 0),
    ]
    assert {one.currency for one in lines} == {"EUR"}
    assert {one.commodity for one in lines} == {"cbrs"}
    assert invoice(logs(world, "holder")) == [replace(one) for one in lines], "the holder's log alone says the same"


@pytest.mark.feature("M3")
def test_a_debt_that_nobody_receipted_is_on_no_invoice(tmp_path: Path) -> None:
    world = town(tmp_path)
    ask(world, "rescue", 2, 10.0, 15, 30, emergency=True)
    (asked,) = world.members["rescue"].outgoing
    assert world.give("rescue", "holder", asked.data, 10.0) is None
    assert [one.compensation for one in invoice(logs(world, "holder"))] == [0]


@pytest.mark.feature("M3")
@pytest.mark.feature("S9")
def test_a_deposit_is_owed_once_by_who_did_not_show_its_counted_bid(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    assert world.run(auction, {"ada": 50, "bert": 70, "dora": 90}, hidden=("dora",)) == []
    world.ask("bert", 4.8, 50)
    assert world.carry(4.8) == []
    for names in (("holder",), ("holder", "dora", "bert"), ("dora",)):
        owed = [(one.payer, one.payee, one.deposits) for one in invoice(logs(world, *names)) if one.deposits]
        assert owed == [("dora", "holder", 5)], names
    paid = {one.payer: one.price for one in invoice(logs(world, "holder"))}
    assert paid == {"bert": 50, "dora": 0}


@pytest.mark.feature("S9")
def test_without_a_certified_outcome_no_deposit_is_owed(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    world.bid("dora", auction, 90, reveal=False)
    world.carry(1.0)
    assert invoice(logs(world, "holder", "dora")) == []
