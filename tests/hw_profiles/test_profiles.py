"""Profiles: what ships can be read, what is wrong is told by file and key, and nothing outside is let through."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from hw_profiles.calibration import OutsideTable, Scale
from hw_profiles.calibrationfile import CalibrationFile, Point, load_calibration, save_calibration
from hw_profiles.loader import (
    FOLDER,
    ProfileError,
    UnknownHardware,
    find_radio,
    load_limits,
    load_radio,
    names,
    radios,
)
from sim.stations import Hardware

pytestmark = pytest.mark.feature("R5")

STOCK = {"hw_model": "Analog Devices PlutoSDR Rev.B (Z7010-AD9363A)", "chip_model": "ad9363a"}


def test_what_ships_is_what_is_promised() -> None:
    assert names() == ["cbrs-a", "cbrs-b", "hackrf-one", "pluto-ad9363", "pluto-ad9364", "simulated", "usrp-b210"]
    assert {p.id for p in radios()} == {"hackrf-one", "pluto-ad9363", "pluto-ad9364", "simulated", "usrp-b210"}
    assert all(p.tx.cyclic_allowed is False for p in radios())
    stock = load_radio("pluto-ad9363")
    assert (str(stock.tx.lo_hz), str(stock.tx.bw_hz)) == ("325000000 to 3800000000", "200000 to 20000000")
    assert not stock.tx.max_output_dbm.verified
    assert not stock.watchdog.on_device


def test_the_limits_are_those_of_the_rule() -> None:
    """47 CFR 96.41(b), (e)(1), (e)(2), (g)."""
    a, b = load_limits("cbrs-a"), load_limits("cbrs-b")
    assert (a.max_eirp_mdbm(10_000_000), b.max_eirp_mdbm(10_000_000)) == (30_000, 47_000)
    assert (a.max_eirp_mdbm(20_000_000), a.max_eirp_mdbm(1_000_000)) == (33_010, 20_000)
    for limits in (a, b):
        assert [(s.from_hz, s.dbm_per_mhz) for s in limits.outside] == [(0, -13.0), (10_000_000, -25.0)]
        assert {g.dbm_per_mhz for g in limits.guarded} == {-40.0}
        below, above = (g.range_hz for g in limits.guarded)
        assert (below.high, above.low) == (3_530_000_000, 3_720_000_000)
        assert limits.peak_to_average_db == 13.0


def test_the_simulated_radio_is_what_its_profile_says() -> None:
    profile, hardware = load_radio("simulated"), Hardware()
    for ours, theirs in [
        (profile.tx.lo_hz, hardware.lo_hz),
        (profile.tx.rate_hz, hardware.rate_hz),
        (profile.tx.bw_hz, hardware.bandwidth_hz),
    ]:
        assert (ours.low, ours.high) == (theirs.low, theirs.high)
    assert profile.tx.atten_db.max * 1000 == hardware.attenuation_mdb.high
    assert (profile.tx.full_scale, profile.rx.full_scale) == (hardware.tx_full_scale, hardware.rx_full_scale)


def test_a_unit_is_found_by_what_it_calls_itself() -> None:
    assert find_radio(**STOCK).id == "pluto-ad9363"
    assert find_radio(hw_model=STOCK["hw_model"], chip_model="ad9364").id == "pluto-ad9364"
    with pytest.raises(UnknownHardware, match="none"):
        find_radio(hw_model="Some SDR", chip_model="ad9363a")
    with pytest.raises(UnknownHardware, match="none"):
        find_radio(hw_model=STOCK["hw_model"], chip_model="ad9371")


def written(folder: Path, change: dict[str, Any]) -> Path:
    """The stock profile with some of its tables' keys changed."""
    values = tomllib.loads((FOLDER / "pluto-ad9363.toml").read_text())
    for key, value in change.items():
        table, _, last = key.rpartition(".")
        at = values[table] if table else values
        if value is None:
            del at[last]
        else:
            at[last] = value
    path = folder / "own.toml"
    path.write_text(tomli_w.dumps(values))
    return path


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rx.lo_hz": [5, 1]}, "rx.lo_hz"),
    ({"rx.lo_hz": 5}, "rx.lo_hz"),
    ({"tx.lo_hz": None}, "tx.lo_hz"),
    ({"tx.cyclic_allowed": True}, "tx.cyclic_allowed"),
    ({"tx.colour": "red"}, "tx.colour"),
    ({"schema_version": 2}, "schema_version"),
    ({"model_match.hw_model": "("}, "model_match.hw_model"),
    ({"mute.steps": []}, "mute.steps"),
    ({"rx.adc_bits": "12"}, "rx.adc_bits"),
    ({"id": None}, "id"),
    ({"kind": "limits"}, "kind"),
]


@pytest.mark.parametrize(("change", "key"), WRONG, ids=[w[1] + str(n) for n, w in enumerate(WRONG)])
def test_a_wrong_profile_is_told_by_file_and_key(tmp_path: Path, change: dict[str, Any], key: str) -> None:
    path = written(tmp_path, change)
    with pytest.raises(ProfileError, match=key) as caught:
        load_radio(str(path))
    assert str(path) in str(caught.value)


def test_what_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="there are cbrs-a"):
        load_radio("hackrf")
    (tmp_path / "x.toml").write_text("a = [")
    with pytest.raises(ProfileError, match="TOML"):
        load_radio(str(tmp_path / "x.toml"))


def test_firmware_lists(tmp_path: Path) -> None:
    profile = load_radio(str(written(tmp_path, {"fw_allow": [r"v0\.3[5-9]"], "fw_deny": [r"v0\.36"]})))
    assert [profile.firmware_known(v) for v in ("v0.35", "v0.36", "v0.31")] == [True, False, False]
    assert load_radio("pluto-ad9363").firmware_known("anything")
    with pytest.raises(UnknownHardware, match="firmware"):
        find_radio(**STOCK, firmware="v0.31", folder=tmp_path)


TX = {"center_hz": 3_555_000_000, "sample_rate_hz": 4_000_000, "bandwidth_hz": 2_000_000, "attenuation_db": 10.25}
RX = {"center_hz": 3_555_000_000, "sample_rate_hz": 4_000_000, "bandwidth_hz": 2_000_000, "gain_db": 30.0}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({}, None),
        ({"center_hz": 3_800_000_001}, "tx.lo_hz"),
        ({"center_hz": 324_999_999}, "tx.lo_hz"),
        ({"sample_rate_hz": 61_440_001}, "tx.rate_hz"),
        ({"bandwidth_hz": 20_000_001}, "tx.bw_hz"),
        ({"attenuation_db": 10.1}, "tx.atten_db"),
        ({"attenuation_db": -0.25}, "tx.atten_db"),
        ({"attenuation_db": 90.0}, "tx.atten_db"),
    ],
)
def test_transmit_settings_outside_the_profile_are_refused(change: dict[str, Any], key: str | None) -> None:
    found = load_radio("pluto-ad9363").check_tx(**{**TX, **change})
    assert (found.key if found else None) == key
    assert found is None or "choose a value inside" in str(found)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({}, None),
        ({"center_hz": 3_800_000_001}, "rx.lo_hz"),
        ({"sample_rate_hz": 500_000}, "rx.rate_hz"),
        ({"bandwidth_hz": 100_000}, "rx.bw_hz"),
        ({"gain_db": 72.0}, "rx.gain_tables.gain_db"),
        ({"gain_db": 30.5}, "rx.gain_tables.gain_db"),
        ({"center_hz": 1_299_999_999, "gain_db": 73.0}, None),
        ({"center_hz": 1_300_000_000, "gain_db": 73.0}, "rx.gain_tables.gain_db"),
    ],
)
def test_receive_settings_outside_the_profile_are_refused(change: dict[str, Any], key: str | None) -> None:
    found = load_radio("pluto-ad9363").check_rx(**{**RX, **change})
    assert (found.key if found else None) == key


@given(st.integers(0, 359))
def test_every_step_of_the_attenuator_is_allowed_and_nothing_between(step: int) -> None:
    atten = load_radio("simulated").tx.atten_db
    assert atten.holds(step * 0.25)
    assert not atten.holds(step * 0.25 + 0.125)


def table() -> CalibrationFile:
    return CalibrationFile(
        device="unit-1",
        profile="pluto-ad9363",
        reference_plane="antenna connector",
        measured_ns=1_000,
        valid_until_ns=2_000,
        measured_temperature_c=25.0,
        temperature_min_c=0.0,
        temperature_max_c=50.0,
        points=[
            Point(frequency_hz=3_500_000_000, sample_rate_hz=4_000_000, gain_db=30.0, full_scale_dbm=-40.0, sd_db=0.5)
        ],
    )


def test_a_table_comes_back_and_scales_only_where_it_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "unit.toml"
    more = Point(frequency_hz=3_600_000_000, sample_rate_hz=4_000_000, gain_db=30.0, full_scale_dbm=-41.0, sd_db=0.4)
    save_calibration(path, table().with_point(more))
    held = load_calibration(path, device="unit-1").table()
    here = {"sample_rate_hz": 4e6, "gain_db": 30.0, "temperature_c": 25.0, "now_ns": 1_500}
    between = held.scale(frequency_hz=3.55e9, **here)
    assert isinstance(between, Scale)
    assert between.offset_db == pytest.approx(-40.5)
    assert between.sd_db >= 0.5
    for change in ({"frequency_hz": 3.61e9}, {"gain_db": 31.0}, {"sample_rate_hz": 5e6}, {"now_ns": 2_001}):
        assert isinstance(held.scale(**{"frequency_hz": 3.55e9, **here, **change}), OutsideTable)


def test_a_point_measured_again_replaces_the_old_one() -> None:
    again = table().points[0].model_copy(update={"full_scale_dbm": -39.0})
    assert table().with_point(again).points == [again]


def test_another_units_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "unit.toml"
    save_calibration(path, table())
    with pytest.raises(ProfileError, match="unit-1's, not unit-2's"):
        load_calibration(path, device="unit-2")
    path.write_text(path.read_text().replace("sd_db = 0.5", "sd_db = -0.5"))
    with pytest.raises(ProfileError, match=r"points\[0\]\.sd_db"):
        load_calibration(path)
    with pytest.raises(ProfileError, match="cannot be read"):
        load_calibration(tmp_path / "none.toml")
