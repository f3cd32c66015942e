"""`bandpact auction` in the running agent: what is no bid is said to be none before anything is signed."""

from pathlib import Path
from typing import Any

import pytest

from agent.node import auctionerrands
from agent.node.commands import PlaceBid, ShowAuctions
from agent.node.errand import Errand
from settlement.core.reasons import Reason
from settlement.state.assembly import BIDS
from tests.settlement.quorum.auctions import AuctionWorld

pytestmark = pytest.mark.feature("S9")


def answered(world: AuctionWorld, name: str, command: Any, at_s: float = 1.0) -> list[dict[str, Any]]:
    """What a node's agent says to a command."""
    party, said = world.members[name].party, []
    errand = Errand(client=b"", command=command, began_ns=0)

    def tell(_errand: Errand, step: str, **fields: Any) -> None:
        said.append({"step": step, **fields})

    def end(_errand: Errand, **fields: Any) -> None:
        said.append(fields)

    around: Any = None
    world.do(name, at_s, lambda step: auctionerrands.go_on(step, party, errand, around, tell=tell, end=end))
    return said


def bid(auction: str, price: int = 50, **more: Any) -> PlaceBid:
    return PlaceBid(do="auction bid", auction=auction, price=price, **more)


@pytest.mark.parametrize(
    ("name", "changes", "reason", "clause"),
    [
        ("ada", {"auction": "zz"}, Reason.OUT_OF_ORDER, "bid.proposal"),
        ("ada", {"price": 9}, Reason.PRICE, "bid.reserve"),
        ("ada", {"deposit": 4}, Reason.PRICE, "bid.deposit"),
        ("holder", {}, Reason.TERMS, "bid.bidder"),
    ],
)
def test_what_is_no_bid_is_not_sent(
    tmp_path: Path, name: str, changes: dict[str, Any], reason: Reason, clause: str
) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    (ended,) = answered(world, name, bid(**{"auction": auction.hex()[:8], **changes}))
    assert ended["ok"] is False
    assert ended["why"].startswith(f"{reason.value} [{clause}]: "), ended
    assert "required: " in ended["why"]
    assert world.members[name].party.lineage.items(BIDS) == []


def test_a_bid_says_what_it_puts_down_and_a_second_or_late_one_is_refused(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open().hex()[:8]
    placed, ended = answered(world, "ada", bid(auction, deposit=5))
    assert (placed["step"], placed["deposit"], ended["ok"]) == ("bid placed", 5, True)
    (second,) = answered(world, "ada", bid(auction, 60))
    assert second["why"].startswith("EQUIVOCATION [bid.once]: ")
    (late,) = answered(world, "bert", bid(auction), 2.5)
    assert late["why"].startswith("EXPIRED [bid.bids_by]: ")
    (unknown,) = [one for one in answered(world, "bert", ShowAuctions(do="auction show", auction="zz")) if "ok" in one]
    assert unknown["why"].startswith("OUT_OF_ORDER [auction.name]: zz")
