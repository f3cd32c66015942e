"""An invoice from logs alone: what both signed, each settlement once though it stands in two logs, debts once heard."""

from dataclasses import replace
from pathlib import Path

import pytest

from settlement.audit.invoice import invoice
from settlement.audit.lease import LogEntry, read_entries
from settlement.chain.credentials import Registry
from tests.settlement.market.test_displacement import OWED, PRICE, ask, town
from tests.settlement.quorum.auctions import AUCTIONS, END, MARKET, AuctionWorld
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


def forfeited(folder: Path, *, term: str | None, asks: float | None, until_s: float, who: tuple[str, ...]) -> list[int]:
    """Bert wins at 50 with a deposit of 5, asks or does not, and the holder's log goes on until then."""
    folder.mkdir()
    rule = replace(MARKET, classes=(replace(MARKET.classes[0], auction=replace(AUCTIONS, forfeit=term)),))
    world = AuctionWorld(folder, rule=rule)
    auction = world.open()
    assert world.run(auction, {"ada": 50, "bert": 70}) == []
    assert world.winner("holder", auction) == ("bert", 50)
    if asks is not None:
        world.ask("bert", asks, 50 if term != "price" else 51)
        world.carry(asks)
    world.declare(until_s)
    lines = invoice(logs(world, *who))
    assert {(one.payer, one.payee) for one in lines if one.forfeits} <= {("bert", "holder")}
    return [one.forfeits for one in lines if one.forfeits]


@pytest.mark.feature("S9")
def test_a_winner_that_never_asks_owes_what_the_rule_says_once_its_window_is_over(tmp_path: Path) -> None:
    both = ("holder", "bert")
    assert forfeited(tmp_path / "a", term="deposit", asks=None, until_s=END + 1, who=both) == [5]
    assert forfeited(tmp_path / "b", term="price", asks=None, until_s=END + 1, who=("holder",)) == [50]
    assert forfeited(tmp_path / "c", term="deposit", asks=None, until_s=END - 1, who=both) == [], "it may still ask"
    assert forfeited(tmp_path / "d", term=None, asks=None, until_s=END + 1, who=both) == [], "the rule has no forfeit"
    assert forfeited(tmp_path / "e", term="deposit", asks=4.8, until_s=END + 1, who=both) == [], "it asked"
    # At another price it is refused: a holder does not make a winner forfeit by refusing it.
    assert forfeited(tmp_path / "f", term="price", asks=4.8, until_s=END + 1, who=("holder",)) == []


@pytest.mark.feature("S9")
def test_without_a_certified_outcome_no_deposit_is_owed(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    world.bid("dora", auction, 90, reveal=False)
    world.carry(1.0)
    assert invoice(logs(world, "holder", "dora")) == []
