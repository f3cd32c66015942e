"""An invoice from logs alone: what both signed, each settlement once though it stands in two logs, debts once heard."""

from dataclasses import replace
from pathlib import Path

import pytest

from settlement.audit.invoice import invoice
from settlement.audit.lease import LogEntry, read_entries
from settlement.chain.credentials import Registry
from tests.settlement.market.test_displacement import OWED, PRICE, ask, town
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
