"""The report's tables of a market: what was sold, approved, shared, handed on and taken back, in words."""

from pathlib import Path
from typing import Any

import pytest

from agent.report.evidence import gather
from agent.report.markettables import market
from agent.report.realrun import report_of
from agent.report.render import render
from agent.report.tables import HtmlTable
from tests.agent.test_marketpoints import ruled_court, sealed
from tests.agent.test_report import summary, trial
from tests.settlement.world import NETWORK

SID = "ab" * 32
NOTHING: dict[str, Any] = {
    key: []
    for key in (
        "wishes",
        "displaced",
        "handed_on",
        "jurisdictions",
        "auctions",
        "approvals",
        "moved",
        "broken",
        "disputes",
    )
}
AUCTION = {
    "auction": "cd" * 32, "by": "holder", "function": "second price", "low_hz": 3_550_000_000, "high_hz": 3_560_000_000,
    "reserve": 100, "votes": ["holder"], "outcomes": 1, "winner": "ada", "price": 420,
    "bids": [
        {"bidder": "ada", "price": 500, "counted": True, "deposit_lost": 0},
        {"bidder": "bert", "price": 420, "counted": True, "deposit_lost": 0},
        {"bidder": "cara", "price": None, "counted": True, "deposit_lost": 50},
    ],
    "settled": [{"user": "ada", "price": 420}],
}  # fmt: skip


def told(**rows: Any) -> dict[str, list[list[tuple[str, str]]]]:
    """Text and tone of every cell, by the table's name."""
    shown = market(trial(summary={**summary(), "scenario": NOTHING | rows}))
    return {one.name: [[(cell.text, cell.tone) for cell in row] for row in one.rows] for one in shown}


def texts(one: HtmlTable) -> list[list[str]]:
    return [[cell.text for cell in row] for row in one.rows]


@pytest.mark.feature("S9", "U6")
def test_an_auction_shows_its_bids_its_winner_and_who_paid_what() -> None:
    rows = told(auctions=[AUCTION])["auctions"]
    assert [[text for text, _ in row][4:] for row in rows] == [
        ["ada", "500", "won, settled", "420"],
        ["bert", "420", "lost", "–"],
        ["cara", "not shown", "never shown: deposit of 50 lost", "–"],
    ]
    (row, *_) = told(auctions=[{**AUCTION, "settled": []}])["auctions"]
    assert row[6] == ("won, never settled", "bad")


@pytest.mark.feature("A1", "A3", "A6", "M10", "U6")
def test_what_was_owed_left_and_handed_on_is_shown() -> None:
    tables = told(
        displaced=[{"sid": SID, "holder": "h", "reason": "PREEMPTED", "tier": 1, "owed": 9, "settled": 4}],
        wishes=[
            {
                "user": "u", "asked_hz_s": 30e6, "filled_hz_s": 20e6, "recorded": "10 MHz unfilled",
                "parts": [{"index": 0, "holder": "h", "low_hz": 3.55e9, "high_hz": 3.56e9, "price": 7}],
                "residual_hz": [[3_560_000_000, 3_570_000_000]],
            }
        ],
        handed_on=[
            {
                "kind": "sublease", "sid": SID, "chain": ["h", "a", "b"], "low_hz": 3.55e9, "high_hz": 3.555e9,
                "price": 3, "consented_by": None, "silent_ns": None,
            }
        ],
        jurisdictions=[
            {
                "sid": SID, "reconciliation": ["stricter"], "max_eirp_mdbm": 17_000,
                "clauses": [
                    {"jurisdiction": "north", "clause": "N 4", "max_eirp_mdbm": [17_000], "stands_for_it": []},
                    {"jurisdiction": "south", "clause": "S 9", "max_eirp_mdbm": [None], "stands_for_it": ["h"]},
                ],
            }
        ],
    )  # fmt: skip
    assert tables["displaced"][0][4:] == [("9", ""), ("4", "bad")]
    assert [text for text, _ in tables["wishes"][0]][1:] == [
        "30", "20", "10", "h: 3550–3560 at 7", "3560–3570", "10 MHz unfilled",
    ]  # fmt: skip
    assert tables["handed"][0][2] == ("h to a to b", "")
    assert tables["handed"][0][-1] == ("no word of it", "bad")
    assert [[text for text, _ in row][1:] for row in tables["jurisdictions"]] == [
        ["north", "N 4", "17", "17", "stricter", "nobody"],
        ["south", "S 9", "none", "17", "stricter", "h"],
    ]


@pytest.mark.feature("U6")
def test_where_nothing_came_of_a_market_the_page_has_no_such_section() -> None:
    assert 'id="market"' not in render(trial(summary={**summary(), "scenario": NOTHING}))
    assert 'id="auctions"' in render(trial(summary={**summary(), "scenario": NOTHING | {"auctions": [AUCTION]}}))


@pytest.mark.feature("M6", "U6")
def test_the_report_of_a_real_run_tells_a_broken_promise_and_its_ruling(tmp_path: Path) -> None:
    court = ruled_court(tmp_path / "court")
    logs = sealed(court.world, tmp_path)
    found = gather([logs], anchors=[one.hex() for one in court.world.anchors], network=NETWORK)
    shown = {one.name: one for one in market(report_of(found))}
    assert texts(shown["moved"])[0][2] == "ended for nobody"
    assert texts(shown["disputes"])[0][4] == "compensation"
    assert texts(shown["disputes"])[0][-2:] == ["6", "6"]


@pytest.mark.feature("M6", "U6")
def test_an_instant_in_a_rulings_reason_is_read_as_utc() -> None:
    ruling = {
        "by": "court", "outcome": "compensation", "why": "ended at 1795986831482243751 ns, none cited", "owed": 6,
        "pays": "h", "to": "u", "paid": 6, "settled": 6, "corrects": None,
    }  # fmt: skip
    row = {"dispute": SID, "sid": SID, "ground": "fallback not kept", "by": "u", "against": "h", "claim": 9, "cited": 1}
    rows = told(disputes=[{**row, "escalates": None, "answer": None, "ruling": ruling}])["disputes"]
    assert rows[0][5][0] == "ended at 2026-11-29 21:13:51.482243Z, none cited"
