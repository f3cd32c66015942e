"""What `bandpact auction show` prints: a line for each auction and for each of its bids."""

import pytest

from agent.cli.agentcall import _show, told
from agent.service.snapshot import auction_line

pytestmark = pytest.mark.feature("S9")
AUCTION = {
    "auction": "9fbf4cd5b5db00112233", "state": "decided", "by": "holder", "low_hz": 3_550_000_000,
    "high_hz": 3_560_000_000, "bids_by_ns": 0, "reveals_by_ns": 0, "vote_by_ns": 0, "votes": 4, "required": 3,
    "bids": [
        {"bidder": "ada", "price": 500, "deposit_lost": 0}, {"bidder": "cara", "price": None, "deposit_lost": 50},
    ],
    "winner": "ada", "price": 420,
}  # fmt: skip


def test_each_bid_has_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    answers = [{"step": "auctions", "auctions": [AUCTION]}, {"done": True, "ok": True}]
    _show(iter(answers), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("2 bids, 4 votes of 3 required, won by ada at 420")
    assert lines[1:3] == ["  ada: 500", "  cara: sealed, deposit of 50 lost"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"state": "bidding", "winner": None}, "bidding until 00:00:00.000Z"),
        ({"winner": None}, "no bid reached the reserve"),
        ({"state": "void", "winner": None}, "void, 3550-3560 MHz"),
    ],
)
def test_a_line_says_where_an_auction_stands(changes: dict[str, object], says: str) -> None:
    assert says in auction_line({**AUCTION, **changes})


def test_none_is_said_to_be_none() -> None:
    assert told({"step": "auctions", "auctions": []}) == "no auction is known"
