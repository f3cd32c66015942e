"""A scenario whose tables each hold and do not go together: told before anything starts, with its file and key."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.trial.run import Options, scenario_of
from sim.scenario import ScenarioError

SCENARIOS = Path(__file__).resolve().parents[2] / "sim" / "scenarios"
MISTAKES = [
    ("neighbours", "[trial]", "[trial]\nband_hz = [3_570_000_000, 3_550_000_000]", "band_hz: 3570000000 to 3550000000"),
    ("neighbours", 'offers]]\nnode = "holder"', 'offers]]\nnode = "holdr"', "offers[0].node: unknown node 'holdr'"),
    ("neighbours", 'wants]]\nnode = "user-a"', 'wants]]\nnode = "holder"', "wants[0].node: holder is no user"),
    ("neighbours", "bands_hz = [[3_550", "bands_hz = [[3_350", "wants[0].bands_hz[0]: 3350-3560 MHz is not"),
    ("neighbours", "end_s = ", "end_s = 1 # ", "wants[0].end_s: not after ask_s and start_s"),
    ("auction", "\ndeposit = ", "\ndeposit = 1 # ", "auctions[0].deposit: 1; [trial.terms.auction] asks"),
    ("auction", "need = 3", "need = 1", "terms.approval.need: 1; required: 3-4, by k of n"),
    ("auction", "deposit_min = 50", 'deposit_min = 50\nforfeit = "all"', "terms.auction.forfeit: Input should be"),
    ("auction", 'bids]]\nnode = "ada"', 'bids]]\nnode = "zoe"', "bids[0].node: unknown node 'zoe'"),
    ("broken-promise", "fallback = 1", "fallback = 9", "wants[0].fallback: 9; [[trial.terms.fallbacks]] has 1"),
    ("broken-promise", "at_s = ", "at_s = 5000 # ", "acts[0].at_s: 5000 s; the trial is over at 34 s"),
    ("broken-promise", 'do = "fallback"', 'do = "fall"', "acts[0].do: Input should be"),
    ("broken-promise", 'name = "fallback not kept"', 'name = "was rude"', "terms.disputes.grounds[0].name: 'was rude'"),
    ("two-states", '"stricter"', '"whatever"', "jurisdictions[0].reconciliation: 'whatever'; give stricter, lead:"),
    ("sublease", 'to = "', 'to = "x', "hands[0].to: unknown node"),
    ("neighbours", "center_hz = 3_555", "center_hz = 5_800", "emitters[0].center_hz: ship-radar's 5800 MHz is not"),
    ("neighbours", 'radar_class = "P0N#1"', 'radar_class = "P9N#1"', "radar_class 'P9N#1' is none of P0N#1, "),
]  # fmt: skip


def options(path: Path) -> Options:
    return Options(scenario=str(path), seed=1, duration_s=None, recording=None, base_port=None)


@pytest.mark.feature("U1")
@pytest.mark.parametrize(("name", "right", "wrong", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_file_and_key_by_check_and_by_the_trial(
    tmp_path: Path, name: str, right: str, wrong: str, said: str
) -> None:
    text = (SCENARIOS / f"{name}.toml").read_text(encoding="utf-8")
    assert right in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    ended = CliRunner().invoke(app, ["trial", "check", str(path)])
    assert ended.exit_code == 1
    assert said in " ".join(ended.output.split())
    assert str(path) in "".join(ended.output.split())


@pytest.mark.feature("U1")
@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_scenario_that_ships_goes_together(path: Path) -> None:
    scenario, spec, duration_s = scenario_of(options(path))
    assert scenario.name == path.stem
    assert duration_s == spec.duration_s


@pytest.mark.feature("U1")
def test_a_trial_does_not_begin_with_one(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    text = (SCENARIOS / "broken-promise.toml").read_text(encoding="utf-8")
    path.write_text(text.replace("fallback = 1", "fallback = 9", 1), encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"own\.toml: \[trial\] wants\[0\]\.fallback"):
        scenario_of(options(path))
