"""Scenarios: each that comes with the product is whole and described; one of a user's own is checked key by key."""

import json
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from agent.cli.main import app
from agent.trial.auctionplans import AuctionPlan, AuctionRulePlan, BidPlan, GroupPlan, MemberPlan
from agent.trial.judge import settlements
from agent.trial.missedpoints import points_missed
from agent.trial.spec import (
    OfferPlan,
    Terms,
    TierPlan,
    TrialSpec,
    Want,
    read_spec,
)
from agent.trial.speccheck import checked_scenario
from sim import scenario as schema
from sim.scenario import load, names
from sim.stations import Emitter
from tests.settlement.world import LOWER, World, trio

SPEC_TABLES = (
    OfferPlan, Want, Terms, TierPlan, TrialSpec, AuctionPlan, BidPlan, AuctionRulePlan, GroupPlan, MemberPlan,
)  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")


@pytest.mark.feature("U1")
def test_the_list_has_every_scenario_with_its_paragraph() -> None:
    said = CliRunner().invoke(app, ["trial", "--list"])
    assert said.exit_code == 0
    for name in names():
        found = checked_scenario(name)
        assert len(found["about"]) > 100
        assert f"{name}\n    {found['about']}" in said.stdout
        assert f"## `{name}`" in PAGE


@pytest.mark.feature("U1")
def test_every_key_of_a_scenario_file_is_on_the_page() -> None:
    tables = (schema.AirSpec, schema.RadioSpec, schema.ClockSpec, schema.ScenarioNode, Emitter)
    keys = {field.name for table in tables for field in fields(table) if not field.name.startswith("_")}
    keys |= {name for table in SPEC_TABLES for name in table.model_fields}
    assert sorted(key for key in keys if f"`{key}`" not in PAGE) == []


def written(tmp_path: Path, old: str, new: str) -> str:
    """The patchwork scenario with one thing changed, as a file of a user's own."""
    text = (ROOT / "sim" / "scenarios" / "patchwork.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return str(path)


@pytest.mark.feature("U1")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('role = "holder"', 'role = "landlord"', "nodes[0].role"),
        ("lat_deg = 36.9530", "lat_deg = 136.9530", "lat_deg"),
        ("end_s = 25.0", "end_s = 3.0", "[trial] wants[0].end_s: not after ask_s"),
        ('node = "user"', 'node = "north"', "[trial] wants[0].node: north is no user"),
        ('node = "south"', 'node = "nobody"', "unknown node 'nobody'"),
        ("low_hz = 3_550_000_000", "low_hz = 3_540_000_000", "[trial] offers[0]: 3540-3555 MHz is not inside band_hz"),
        ("partial = true", "partially = true", "wants[0].partially"),
        ("eirp_dbm = 20.0", 'eirp_dbm = "loud"', "wants[0].eirp_dbm"),
    ],
)
def test_a_mistake_in_a_scenario_of_ones_own_is_named_by_its_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    said = CliRunner().invoke(app, ["trial", "check", written(tmp_path, old, new)])
    assert said.exit_code == 1
    assert says in said.stderr, said.stderr
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.feature("U1")
def test_a_good_scenario_of_ones_own_is_said_to_be(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "patchwork"', 'name = "mine"')
    said = CliRunner().invoke(app, ["trial", "check", path, "--json"])
    assert said.exit_code == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["name"] == "mine"
    assert [node["role"] for node in found["nodes"]].count("holder") == 3
    plain = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    del plain["name"], plain["about"]
    nameless = tmp_path / "nameless.toml"
    nameless.write_text(tomli_w.dumps(plain), encoding="utf-8")
    assert checked_scenario(str(nameless))["name"] == "nameless", "the file's own name, where it has none"


@pytest.mark.feature("A3")
def test_a_grant_that_was_only_co_signed_is_not_its_cosigners(tmp_path: Path) -> None:
    """The log of one who was asked to co-sign has the GRANT and not its end: it says nothing of who may radiate."""
    world: World = trio(tmp_path)
    world.settle(band=LOWER)
    holder, alice = world.members["holder"], world.members["alice"]
    (pair,) = holder.party.holder.pairs.values()
    granted = holder.party.record_of(pair.grant)
    assert granted is not None
    assert list(settlements([granted], holder.hash)) == [pair.sid]
    assert settlements([granted], alice.hash) == {}


@pytest.mark.feature("A1")
def test_a_trial_whose_point_was_not_shown_says_so() -> None:
    nothing: dict[str, Any] = {"wishes": [], "displaced": [], "suspended": 0, "auctions": []}
    for name, says in (
        ("rush-hour", "tiers"),
        ("patchwork", "partial fill"),
        ("radar-day", "incumbent"),
        ("auction", "auction"),
        ("coalition", "coalition"),
    ):
        loaded = load(name)
        spec = read_spec(loaded.trial)
        said, *more = points_missed(spec, nothing)
        assert [one for one in more if "approval" not in one] == []
        assert says in said
    spec = read_spec(load("rush-hour").trial)
    assert points_missed(spec, {**nothing, "displaced": [{"owed": 5, "settled": 5}]}) == []
    assert "not all that is owed" in points_missed(spec, {**nothing, "displaced": [{"owed": 5, "settled": 0}]})[0]
