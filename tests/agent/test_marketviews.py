"""Leases that change hands and jurisdictions: as a running node's state, the page and the terminal tell of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.node.marketviews import handovers_shown, jurisdictions_shown
from agent.watch.lines import market_lines
from agent.words.handovers import handover_line, jurisdiction_line
from settlement.chain.records import Record
from settlement.records.handingterms import TRANSFER
from tests.agent.page.nodes import client, node_in, told
from tests.settlement.handing.scene import Scene
from tests.settlement.test_jurisdictions import Border


@pytest.mark.feature("U3")
def test_a_sublease_is_told_at_each_of_its_steps_on_both_sides(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert handovers_shown(scene.party("alice")) == []
    record = scene.hand_on()
    assert isinstance(record, Record)
    scene.world.carry(3.0)
    (given,) = handovers_shown(scene.party("alice"))
    assert (given["role"], given["kind"], given["stage"]) == ("given", "sublease", "handed on")
    assert (given["settlement"], given["child"]) == (scene.lease.hex(), None)
    assert (given["by"], given["to"]) == ("alice", "bob")
    assert (given["low_hz"], given["high_hz"], given["eirp_mdbm"]) == (3_550_000_000, 3_555_000_000, 17_000)
    sid = scene.ask(record, 3.1)
    scene.world.carry(3.2)
    assert [one["stage"] for one in handovers_shown(scene.party("alice"))] == ["silencing"]
    assert [one["stage"] for one in handovers_shown(scene.party("bob"))] == ["asked for"]
    scene.falls_silent(3.3)
    scene.world.carry(3.3)
    (given,) = handovers_shown(scene.party("alice"))
    (received,) = handovers_shown(scene.party("bob"))
    assert (given["stage"], given["child"]) == ("settled", sid.hex())
    assert (received["role"], received["stage"], received["child"]) == ("received", "settled", sid.hex())
    assert (received["by"], received["to"], received["settlement"]) == ("alice", "bob", scene.lease.hex())
    assert handover_line(given) == (
        f"sublease of {scene.lease.hex()[:12]} by alice to bob, 3550-3555 MHz, 17 dBm EIRP; settled, {sid.hex()[:12]}"
    )
    assert handovers_shown(scene.party("holder")) == []


@pytest.mark.feature("U3")
def test_a_handover_that_comes_to_nothing_says_why(tmp_path: Path) -> None:
    scene = Scene(tmp_path, consent=1)
    scene.party("holder").consents = False
    record = scene.hand_on(kind=TRANSFER)
    assert isinstance(record, Record)
    scene.world.carry(3.0)
    scene.ask(record, 3.1)
    scene.world.carry(3.2)
    (given,) = handovers_shown(scene.party("alice"))
    assert given["kind"] == "transfer"
    assert given["stage"] == "failed"
    assert given["why"]
    assert f"failed: {given['why']}" in handover_line(given)


@pytest.mark.feature("A6")
def test_jurisdictions_are_told_with_the_settlements_that_touch_them(tmp_path: Path) -> None:
    border = Border(tmp_path)
    party = border.world.members["alice"].party
    assert [one["settlements"] for one in jurisdictions_shown(party)] == [[], []]
    _, sid = border.ask()
    north, south = jurisdictions_shown(party)
    assert [(one["name"], one["clause"], one["represented"]) for one in (north, south)] == [
        ("north", "north 12.3", False),
        ("south", "south 12.3", True),
    ]
    assert north["settlements"] == south["settlements"] == [sid.hex()]
    assert north["authority"] == "north"
    assert [terms["max_eirp_mdbm"] for one in (north, south) for terms in one["classes"]] == [24_000, 17_000]
    said = jurisdiction_line(south)
    assert "south 12.3" in said
    assert "at most cbrs 17 dBm; stricter" in said
    assert "1 settlements of this node" in said


BELOW = {
    "worst_s": 1.5, "given": 1, "withheld": {"GATE": 2}, "heard_after": {"cbsd:A/1": "heard at -70 dBm"}, "ears": [],
    "above": None,
    "cbsds": [{"device": "cbsd:A/1", "grant": "g1", "settlement": "ab" * 32, "low_hz": 3_550_000_000,
               "high_hz": 3_560_000_000, "eirp_mdbm": 20_000, "transmit_until": "2026-11-28T12:00:00Z",
               "silent_by": "2026-11-28T12:01:00Z", "returned": False}],
}  # fmt: skip


@pytest.mark.feature("U3")
def test_the_api_and_the_terminal_carry_what_the_status_carries(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    scene = Scene(tmp_path / "w")
    scene.settle()
    handed = handovers_shown(scene.party("alice"))
    state = told(handovers=handed, auctions=[{"auction": "cc" * 32, "state": "unknown"}], disputes=[], jurisdictions=[])
    here = node_in(tmp_path, history=False)
    here.status, here.stations = state, BELOW

    async def asked() -> list[Any]:
        async with client(tmp_path, here) as page:
            names = ("handovers", "auctions", "disputes", "jurisdictions", "cbsds", "status")
            return [(await page.get(f"/api/v1/{name}")).json() for name in names]

    handovers, auctions, disputes, jurisdictions, cbsds, status = asyncio.run(asked())
    assert (handovers, auctions, disputes, jurisdictions) == (handed, state["auctions"], [], [])
    assert cbsds == status["base_stations"] == BELOW
    lines = market_lines(here.snapshot())
    assert lines[:2] == ["auction cccccccccccc unknown", handover_line(handed[0])]
    assert any("ALARM  cbsd:A/1 was heard after its end" in line for line in lines)
