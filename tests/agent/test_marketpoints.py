"""`audit report --market`: what a regulator with a bundle and the anchors alone reads of decisions and promises."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.audit.marketpoints import market_of
from agent.audit.marketwords import WORDS, market_lines
from agent.cli.main import app
from settlement.audit.seal import write_root, write_seal
from settlement.chain.records import Record
from settlement.records.handingterms import SUBLEASE, TRANSFER
from tests.settlement.disputes.court import Court
from tests.settlement.handing.scene import Scene
from tests.settlement.quorum.auctions import AuctionWorld
from tests.settlement.world import NETWORK, World


def sealed(world: World, folder: Path) -> Path:
    """A folder with every member's log as a node leaves it when it stops."""
    logs = folder / "logs"
    logs.mkdir()
    for member in world.members.values():
        target, lineage = logs / f"{member.name}.db", member.party.lineage
        lineage.seal(member.key, target)
        write_root(target, lineage.head(), member.key)
        write_seal(target, member.key)
    return logs


def bundle_alone(world: World, folder: Path) -> tuple[dict[str, Any], str]:
    """Pack a world's logs, and read the bundle in a folder of its own, by command: JSON and text."""
    logs = sealed(world, folder)
    anchors = ["--network", NETWORK, *(word for one in world.anchors for word in ("--anchor", one.hex()))]
    alone = folder / "alone" / "case.bundle"
    alone.parent.mkdir()
    packed = CliRunner().invoke(app, ["audit", "bundle", str(logs), "--out", str(alone), *anchors])
    assert packed.exit_code == 0, packed.output
    told = CliRunner().invoke(app, ["audit", "report", str(alone), "--market", *anchors])
    plain = CliRunner().invoke(app, ["audit", "report", str(alone), "--market", "--json", *anchors])
    assert (told.exit_code, plain.exit_code) == (0, 0), told.output
    assert json.loads(plain.stdout)["market"] == market_of(logs, [one.hex() for one in world.anchors], NETWORK)
    return json.loads(plain.stdout)["market"], " ".join(told.stdout.split())


@pytest.mark.feature("S9", "M9")
def test_an_auction_is_read_from_a_bundle_alone(tmp_path: Path) -> None:
    folder = tmp_path / "town"
    folder.mkdir()
    world = AuctionWorld(folder)
    auction = world.open()
    assert world.run(auction, {"ada": 50, "bert": 70, "cara": 60, "dora": 90}, hidden=("dora",)) == []
    world.ask("bert", 4.8, 60)
    world.carry(4.8)
    market, text = bundle_alone(world, tmp_path)
    (row,) = market["auctions"]
    assert (row["by"], row["winner"], row["price"], row["outcomes"]) == ("holder", "bert", 60, 1)
    bids = {bid["bidder"]: (bid["price"], bid["counted"], bid["deposit_lost"] > 0) for bid in row["bids"]}
    assert bids == {
        "ada": (50, True, False), "bert": (70, True, False), "cara": (60, True, False), "dora": (None, True, True),
    }  # fmt: skip
    assert row["settled"] == [{"user": "bert", "price": 60}]
    assert "bid of bert: shown as 70" in text
    assert "bid of dora: never shown, deposit" in text
    assert "won by bert at 60; settled: bert at 60" in text


@pytest.mark.feature("M6", "M9")
def test_a_broken_promise_and_its_ruling_are_read_from_a_bundle_alone(tmp_path: Path) -> None:
    folder = tmp_path / "court"
    folder.mkdir()
    court = Court(folder)
    court.settle()
    court.break_off(10.0)
    court.world.carry(10.0)
    court.dispute(at_s=12.0)
    court.world.carry(12.0)
    (name,) = court.open()
    assert court.rule(name, 15.0) is None
    court.world.carry(15.0)
    market, text = bundle_alone(court.world, tmp_path)
    assert market["broken"] == [{"sid": court.sid.hex(), "holder": "holder", "fallback": 1}]
    (row,) = market["disputes"]
    assert (row["by"], row["against"], row["ruling"]["owed"], row["ruling"]["settled"]) == ("alice", "holder", 6, 6)
    assert f"ended for nobody {court.sid.hex()[:16]} by holder: bound to fallback 1" in text
    assert "holder pays alice 6, 6 paid and receipted" in text


@pytest.mark.feature("M10", "M9")
@pytest.mark.parametrize("kind", [TRANSFER, SUBLEASE])
def test_a_lease_that_changed_hands_is_read_from_a_bundle_alone(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "lease"
    folder.mkdir()
    scene = Scene(folder)
    sid = scene.settle(kind=kind)
    assert isinstance(scene.party("bob").record_of(scene.party("bob").user.by_sid(sid).decision), Record)
    market, text = bundle_alone(scene.world, tmp_path)
    (row,) = market["handed_on"]
    assert (row["kind"], row["chain"], row["consented_by"]) == (kind, ["holder", "alice", "bob"], "holder")
    assert row["silent_ns"] <= row["confirmed_ns"]
    assert f"{kind} {sid.hex()[:16]}: holder to alice to bob, 3550-35" in text
    assert "consent of holder, silence signed before" in text


def test_where_nothing_came_of_a_market_only_its_prices_are_told() -> None:
    empty: dict[str, Any] = {key: [] for key in WORDS}
    rest = {"counters": 0, "suspended": 0, "resumed": 2, "prices": {"forms": ["fixed"], "settled": 30}}
    assert market_lines(empty | rest) == ["2 resumed", "prices of all that was settled: 30 (fixed)"]
