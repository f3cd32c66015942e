"""`audit report --market`: what a regulator with a bundle and the anchors alone reads of decisions and promises."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
from typer.testing import CliRunner

from agent.audit.handedpoints import all_handed_on
from agent.audit.leases import logs_at
from agent.audit.marketpoints import _owners, market_of, market_points
from agent.audit.marketwords import WORDS, market_lines
from agent.cli.main import app
from settlement.audit.lease import read_entries
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


def auctioned(folder: Path) -> AuctionWorld:
    """Bert won an auction and settled; dora never showed her bid."""
    folder.mkdir()
    world = AuctionWorld(folder)
    auction = world.open()
    assert world.run(auction, {"ada": 50, "bert": 70, "cara": 60, "dora": 90}, hidden=("dora",)) == []
    world.ask("bert", 4.8, 60)
    world.carry(4.8)
    return world


def ruled_court(folder: Path) -> Court:
    """A promise that the holder broke, disputed by alice, ruled and paid."""
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
    return court


def ruled(folder: Path) -> World:
    return ruled_court(folder).world


def sublet(folder: Path) -> World:
    folder.mkdir()
    scene = Scene(folder)
    scene.settle()
    return scene.world


@pytest.mark.feature("S9", "M9")
def test_an_auction_is_read_from_a_bundle_alone(tmp_path: Path) -> None:
    market, text = bundle_alone(auctioned(tmp_path / "town"), tmp_path)
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
    court = ruled_court(tmp_path / "court")
    market, text = bundle_alone(court.world, tmp_path)
    assert market["broken"] == [
        {"sid": court.sid.hex(), "holder": "holder", "fallback": 1, "why": "its holder says UNDELIVERED"}
    ]
    (row,) = market["disputes"]
    assert (row["by"], row["against"], row["ruling"]["owed"], row["ruling"]["settled"]) == ("alice", "holder", 6, 6)
    assert (
        f"ended for nobody {court.sid.hex()[:16]} by holder: its holder says UNDELIVERED; bound to fallback 1" in text
    )
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
    assert market_lines(empty | rest) == [
        "2 resumed",
        "prices of all that was settled: 30 (fixed); all amounts in millionths of the rule's currency",
    ]


@pytest.mark.feature("M9")
@pytest.mark.parametrize("scene", ["auction", "court", "lease"])
def test_what_an_incomplete_log_lacks_is_left_out_and_ends_no_report(tmp_path: Path, scene: str) -> None:
    """A log that lacks any of its records, one after another and half of them at a time: pruned, or another's."""
    world = {"auction": auctioned, "court": ruled, "lease": sublet}[scene](tmp_path / scene)
    found = {
        record.digest: record
        for member in world.members.values()
        for entry in read_entries(enumerate(member.party.lineage.bodies()), member.party.registry)
        if (record := entry.record) is not None
    }
    records, rng = list(found.values()), Random(scene)
    lacking = [[one for one in records if one is not gone] for gone in records]
    lacking += [[one for one in records if rng.random() < 0.5] for _ in range(100)]
    for some in lacking:
        told = market_lines(market_points(lambda credential: credential.hex()[:8], {}, some))
        assert told[-1].startswith("prices of all that was settled: ")


@pytest.mark.feature("M9")
@pytest.mark.parametrize("asked", ["--market", "--invoice"])
def test_a_log_that_cannot_be_read_whole_ends_as_tampered_and_says_what_is_not_told(tmp_path: Path, asked: str) -> None:
    world = ruled(tmp_path / "court")
    logs = sealed(world, tmp_path)
    db = apsw.Connection(str(logs / "alice.db"))
    db.execute("DELETE FROM leaf WHERE idx=3")
    db.close()
    words = ["--network", NETWORK, "--anchor", world.anchors[0].hex()]
    told = CliRunner().invoke(app, ["audit", "report", str(logs), asked, *words])
    plain = CliRunner().invoke(app, ["audit", "report", str(logs), asked, "--json", *words])
    assert (told.exit_code, plain.exit_code) == (5, 5)
    assert f"no {asked[2:]}: " in told.output
    assert "entry 3 is missing" in " ".join(told.output.split())
    assert json.loads(plain.stdout)[asked[2:]] is None


@pytest.mark.feature("M10")
def test_a_grant_that_names_something_else_as_its_handover_hands_nothing_on(tmp_path: Path) -> None:
    world = sublet(tmp_path / "lease")
    bob = world.members["bob"].party
    (pair,) = bob.user.pairs.values()
    grant, confirm = bob.record_of(pair.grant), bob.record_of(pair.decision)
    lying = replace(grant, body=replace(grant.body, handover=confirm.digest))
    assert len(all_handed_on([grant, confirm, bob.record_of(grant.body.handover)])) == 1
    assert all_handed_on([lying, confirm]) == []


@pytest.mark.feature("M6")
def test_a_log_says_whose_it_is(tmp_path: Path) -> None:
    """Of whoever's whole log is here, what is in no log was never there."""
    folder = tmp_path / "court"
    court = ruled_court(folder)
    logs = sealed(court.world, tmp_path)
    read = logs_at(logs, anchors=[one.hex() for one in court.world.anchors], network=NETWORK)
    found = {name: list(_owners(log)) for name, log in read.items()}
    assert {name.removesuffix(".db"): owners for name, owners in found.items()} == {
        name: [member.hash] for name, member in court.world.members.items()
    }
