"""Scenario files: the default one is what it says, and a bad one gets one line."""

import datetime as dt
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.errors import SettingRefused
from radio.ports import Receiver, RxFlag
from radio.propagation import distance_m, loss_db
from sim.air import Air
from sim.receiver import noise_dbm
from sim.scenario import DEFAULT, ScenarioError, load, names, parse
from sim.source import open_receiver, open_source
from sim.stations import Emitter

pytestmark = pytest.mark.feature("U1")


def default_data() -> dict[str, Any]:
    text = (resources.files("sim") / "scenarios" / f"{DEFAULT}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def test_the_default_scenario_has_the_cast_of_the_trial() -> None:
    scenario = load()
    assert DEFAULT in names()
    roles = [node.role for node in scenario.nodes]
    assert (roles.count("holder"), roles.count("user"), roles.count("attacker")) == (1, 2, 1)
    (radar,) = scenario.emitters
    assert (radar.kind, radar.start_s, radar.center_hz) == ("radar", 13.0, 3_555_000_000)
    assert scenario.trial["duration_s"] == 20
    settings = scenario.rx_settings()
    assert settings.center_hz - settings.bandwidth_hz // 2 == 3_550_000_000
    assert settings.center_hz + settings.bandwidth_hz // 2 == 3_570_000_000


def test_levels_in_the_default_scenario_are_as_its_comment_says() -> None:
    scenario = load()
    config = scenario.air_config()
    air = Air(config)
    stations = {station.name: station for station in config.stations}
    for name in ("holder", "user-a", "user-b"):
        snr = air.level_dbm(station=name, emitter="ship-radar") - noise_dbm(stations[name].hardware, 1e6)
        assert 22 <= snr <= 30
    holder = stations["holder"]
    for name in ("user-a", "user-b"):
        user = stations[name]
        away_m = distance_m(user.position, holder.position)
        assert away_m < 2000
        loss = loss_db(away_m, 3_555_000_000, model=config.propagation)
        level = user.hardware.tx_full_dbm - 12 + user.antenna_gain_dbi + holder.antenna_gain_dbi - loss
        assert 15 <= level - noise_dbm(holder.hardware, 10e6) <= 35


def test_a_run_has_its_own_seed_zero_and_clocks() -> None:
    scenario = load()
    config = scenario.air_config(seed=9, zero_ns=123)
    assert (config.seed, config.zero_ns) == (9, 123)
    assert scenario.air_config().seed == scenario.air.seed
    clock = scenario.clock("user-a", utc_at_zero_ns=10**18, zero_ns=123)
    assert (clock.error_ns, clock.bound_ns, clock.zero_ns) == (-250, 2000, 123)
    assert len({station.hardware.serial for station in config.stations}) == 4


def test_one_more_emitter_can_join(iq_dir: Path) -> None:
    path = str(iq_dir / "tdlte-1889.9MHz.sigmf-meta")
    more = Emitter(
        name="tape", kind="recording", lat_deg=36.95, lon_deg=-76.29, eirp_dbm=20.0, center_hz=3_565_000_000,
        params={"path": path},
    )  # fmt: skip
    scenario = load().with_emitter(more)
    assert [one.name for one in scenario.emitters] == ["ship-radar", "tape"]
    with pytest.raises(ScenarioError, match="used 2 times"):
        scenario.with_emitter(more)


BAD = {
    "unknown table": (("nodez",), [], "did you mean nodes?"),
    "unknown key": (("nodes", 0, "noise_figur_db"), 5.0, "did you mean noise_figure_db?"),
    "unknown air key": (("air", "velocity"), 5.0, "remove it"),
    "wrong type": (("nodes", 0, "lat_deg"), "north", "nodes[0].lat_deg"),
    "bool for number": (("nodes", 0, "lat_deg"), True, "nodes[0].lat_deg"),
    "float for hertz": (("emitters", 0, "center_hz"), 3.5e9 + 0.5, "emitters[0].center_hz"),
    "latitude": (("nodes", 0, "lat_deg"), 91.0, "lat_deg"),
    "role": (("nodes", 0, "role"), "king", "role"),
    "kind": (("emitters", 0, "kind"), "laser", "kind"),
    "name": (("nodes", 0, "name"), "a b/../c", "name"),
    "same name": (("nodes", 0, "name"), "user-a", "used 2 times"),
    "no nodes": (("nodes",), [], "nodes"),
    "stop before start": (("emitters", 0, "stop_s"), 12.0, "stop_s"),
    "class": (("emitters", 0, "params", "radar_class"), "P0N#7", "P0N#7"),
    "pulse": (("emitters", 0, "params", "pulse_s"), 1.0, "pulse_s"),
    "unknown parameter": (("emitters", 0, "params", "puls_s"), 1.0, "puls_s"),
    "gain": (("radio", "gain_mdb"), 1_000_000, "gain_mdb"),
    "infinite": (("nodes", 0, "tx_max_dbm"), float("inf"), "tx_max_dbm"),
    "date": (("air", "seed"), dt.date(2026, 1, 1), "date"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_scenario_gets_one_line_with_the_key_and_the_mend(case: str) -> None:
    path, value, named = BAD[case]
    data = default_data()
    inner: Any = data
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    with pytest.raises(ScenarioError) as caught:
        parse(data, where="mine.toml", folder=Path())
    line = str(caught.value)
    assert line.startswith("mine.toml: ")
    assert "\n" not in line
    assert named in line
    assert ";" in line


def test_a_missing_key_is_named() -> None:
    data = default_data()
    del data["nodes"][1]["lon_deg"]
    with pytest.raises(ScenarioError, match=r"nodes\[1\]\.lon_deg: missing"):
        parse(data, where="x", folder=Path())


def test_a_file_that_cannot_be_read_gets_one_line(tmp_path: Path) -> None:
    broken, binary = tmp_path / "broken.toml", tmp_path / "binary.toml"
    broken.write_text("[air\n")
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.toml", tmp_path, broken, binary):
        with pytest.raises(ScenarioError) as caught:
            load(str(path))
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


def test_a_recordings_path_counts_from_the_scenarios_folder(tmp_path: Path) -> None:
    data = default_data()
    data["emitters"][0] |= {"kind": "recording", "params": {"path": "gone.sigmf-meta"}}
    with pytest.raises(ScenarioError, match=str(tmp_path / "gone.sigmf-meta")):
        parse(data, where="x", folder=tmp_path)


@pytest.mark.feature("E1")
def test_the_source_is_a_receiver_whose_blocks_join() -> None:
    source: Receiver
    opened = open_receiver("")
    source, settings = opened.receiver, opened.settings
    assert settings is not None
    assert opened.full_scale == 2048
    assert opened.place is not None
    first, second = source.receive(5000), source.receive(5000)
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.start.earliest_ns == 5000 * 10**9 // settings.sample_rate_hz
    assert first.flags is RxFlag.NONE
    assert not first.iq.flags.writeable
    whole = open_source().receive(10_000)
    assert np.abs(np.concatenate((first.iq, second.iq)).astype(int) - whole.iq).max() <= 1
    with pytest.raises(SettingRefused):
        source.receive(0)


@pytest.mark.feature("E1")
def test_the_source_hears_the_radar_when_it_starts_where_the_node_stands() -> None:
    def peak(node: str | None, start_s: float) -> float:
        block = open_source(node=node, start_s=start_s).receive(61_440)
        return float(np.abs(block.iq.astype(np.float64)).max())

    assert peak(None, 13.0) > 2 * peak(None, 12.9)
    assert peak("user-b", 13.0) < peak("user-a", 13.0) < peak(None, 13.0)


def test_the_source_retunes_in_virtual_time_and_refuses_what_the_radio_cannot() -> None:
    source = open_source()
    source.receive(30_720)
    half = type(source.settings)(
        center_hz=3_565_000_000, sample_rate_hz=15_360_000, bandwidth_hz=10_000_000, gain_mdb=30_000
    )
    assert source.tune_rx(half) == half
    assert source.receive(100).start.earliest_ns == 1_000_000
    with pytest.raises(SettingRefused, match="gain_mdb"):
        source.tune_rx(replace(half, gain_mdb=10**6))
    assert source.settings == half
    with pytest.raises(ScenarioError, match="no node named nobody"):
        open_source(node="nobody")
