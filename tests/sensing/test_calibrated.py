"""Calibration by a noise diode against closed forms, from recordings and through a receiver; and by a known tone."""

import json
import math
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from agent.cli.calibrate import calibrate
from agent.cli.sense import sense
from hw_profiles.calibrationfile import load_calibration
from radio.noisediode import BOLTZMANN, T0_K, ZERO_C_K, Diode, YFactor, y_factor
from radio.ports import RxBlock, RxFlag, RxSettings, Span
from radio.receivers import Opened
from settlement.core.reasons import Refusal

pytestmark = pytest.mark.feature("E8")

APP = typer.Typer()
APP.command()(calibrate)
APP.command()(sense)
RATE, FULL = 4_000_000, 2048
SETTINGS = RxSettings(center_hz=3_560_000_000, sample_rate_hz=RATE, bandwidth_hz=3_200_000, gain_mdb=40_000)
DIODE = Diode(enr_db=15.0, enr_sd_db=0.2, temperature_c=25.0)
NOISE_FIGURE_DB, FULL_SCALE_DBM = 6.0, -60.0


def codes_sd(kelvin: float) -> float:
    """Standard deviation of one rail for a noise temperature at the input of a receiver as above."""
    watts = BOLTZMANN * kelvin * RATE
    dbfs = 10 * math.log10(watts) + 30 - FULL_SCALE_DBM
    return FULL * math.sqrt(10 ** (dbfs / 10) / 2)


@cache
def noise(*, on: bool, samples: int, seed: int, figure_db: float = NOISE_FIGURE_DB) -> np.ndarray:
    own_k = T0_K * (10 ** (figure_db / 10) - 1)
    kelvin = own_k + (T0_K * (1 + 10**1.5) if on else 25.0 + ZERO_C_K)
    sd = codes_sd(kelvin)
    return np.rint(np.random.default_rng(seed).normal(3, sd, (samples, 2))).astype(np.int16)


def blocks(*, on: bool, count: int = 12, flags: RxFlag = RxFlag.NONE, **more: Any) -> list[RxBlock]:
    return [
        RxBlock(
            iq=noise(on=on, samples=65_536, seed=100 * on + i, **more),
            sequence=i,
            start=Span(earliest_ns=0, latest_ns=0),
            settings=SETTINGS,
            full_scale=FULL,
            flags=flags,
        )
        for i in range(count)
    ]


def test_gain_and_noise_figure_are_found_within_their_uncertainty() -> None:
    found = y_factor(blocks(on=True), blocks(on=False), DIODE)
    assert isinstance(found, YFactor)
    assert found.full_scale_dbm == pytest.approx(FULL_SCALE_DBM, abs=0.05)
    assert found.noise_figure_db == pytest.approx(NOISE_FIGURE_DB, abs=0.05)
    assert 0.2 < found.full_scale_sd_db < 0.35
    assert 0.2 < found.noise_figure_sd_db < 0.4
    assert found.enbw_hz == pytest.approx(RATE, rel=0.02)


def test_what_is_not_known_of_the_diode_is_in_the_result() -> None:
    lit, dark = blocks(on=True), blocks(on=False)
    sure = y_factor(lit, dark, replace(DIODE, enr_sd_db=0.0, temperature_sd_k=0.0, mismatch_sd_db=0.0))
    vague = y_factor(lit, dark, replace(DIODE, enr_sd_db=1.0))
    assert isinstance(sure, YFactor)
    assert isinstance(vague, YFactor)
    assert sure.full_scale_sd_db < 0.05
    assert vague.full_scale_sd_db > 0.95
    off_by = y_factor(lit, dark, replace(DIODE, enr_db=16.0))
    assert isinstance(off_by, YFactor)
    assert off_by.full_scale_dbm - sure.full_scale_dbm == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("on", "off"),
    [
        (blocks(on=True, count=3), blocks(on=False)),
        (blocks(on=False), blocks(on=False)),
        (blocks(on=False), blocks(on=True)),
        (blocks(on=True, flags=RxFlag.CLIPPED), blocks(on=False)),
        (blocks(on=True, figure_db=30.0), blocks(on=False, figure_db=30.0)),
        ([replace(b, settings=replace(SETTINGS, gain_mdb=30_000)) for b in blocks(on=True)], blocks(on=False)),
        ([replace(b, full_scale=40) for b in blocks(on=True)], [replace(b, full_scale=40) for b in blocks(on=False)]),
    ],
)
def test_what_gives_no_result_is_refused(on: list[RxBlock], off: list[RxBlock]) -> None:
    assert isinstance(y_factor(on, off, DIODE), Refusal)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


def recorded(path: Path, *, on: bool) -> str:
    about = {
        "core:datatype": "ci16_le", "core:sample_rate": RATE, "core:version": "1.2.6", "core:hw": "pluto 77",
        "bandpact:full_scale": FULL,
    }  # fmt: skip
    first = {"core:sample_start": 0, "core:frequency": 3.56e9, "bandpact:bandwidth_hz": 3.2e6, "bandpact:gain_db": 40.0}
    path.write_text(json.dumps({"global": about, "captures": [first], "annotations": []}))
    path.with_suffix(".sigmf-data").write_bytes(noise(on=on, samples=8 * 65_536, seed=on).astype("<i2").tobytes())
    return f"file:{path}"


def test_recordings_with_the_diode_on_and_off_make_a_point_that_sense_uses(tmp_path: Path) -> None:
    on, off = recorded(tmp_path / "on.sigmf-meta", on=True), recorded(tmp_path / "off.sigmf-meta", on=False)
    table = tmp_path / "unit.toml"
    done = run("calibrate", on, str(table), "--off", off, "--enr-db", "15", "--json")
    assert done.exit_code == 0, done.stderr
    held = load_calibration(table)
    (point,) = held.points
    assert held.device == "pluto 77"
    assert (point.method, point.gain_db) == ("y-factor", 40.0)
    assert point.full_scale_dbm == pytest.approx(FULL_SCALE_DBM, abs=0.1)
    assert point.noise_figure_db == pytest.approx(NOISE_FIGURE_DB, abs=0.15)
    quiet = run("sense", off, "--calibration", str(table), "--json")
    assert quiet.exit_code == 0, quiet.stderr
    (channel,) = json.loads(quiet.stdout)["channels"]
    floor = channel["noise_floor"]
    expected = 10 * math.log10(BOLTZMANN * (T0_K * (10**0.6 - 1) + 25 + ZERO_C_K)) + 30
    assert floor["unit"] == "dBm/Hz"
    assert floor["value"] == pytest.approx(expected, abs=0.3)
    assert "UNCALIBRATED" not in channel["flags"]
    about = json.loads((tmp_path / "off.sigmf-meta").read_text())
    about["captures"][0]["bandpact:gain_db"] = 20.0
    (tmp_path / "off.sigmf-meta").write_text(json.dumps(about))
    outside = run("sense", off, "--calibration", str(table))
    assert outside.exit_code == 1
    assert "gain in dB 20 is outside the calibration" in outside.stderr


def test_mistakes_get_one_line(tmp_path: Path) -> None:
    on, table = recorded(tmp_path / "on.sigmf-meta", on=True), str(tmp_path / "t.toml")
    for arguments, code, words in (
        ((on, table), 2, "one of them"),
        ((on, table, "--enr-db", "15", "--power-dbm", "-30"), 2, "one of them"),
        ((on, table, "--power-dbm", "-30"), 2, "--uncertainty-db"),
        ((on, table, "--enr-db", "15"), 2, "nobody is here to switch the diode"),
        ((on, table, "--enr-db", "15", "--off", on), 1, "no louder"),
        ((on, table, "--enr-db", "15", "--diode", "/none/such"), 4, "could not switch it on"),
        ((on, table, "--power-dbm", "-30", "--uncertainty-db", "1"), 1, "calibrate.ratio"),
        (("file:none.sigmf-meta", table, "--power-dbm", "-30", "--uncertainty-db", "1"), 1, "no such recording"),
        (("tape:7", table, "--power-dbm", "-30", "--uncertainty-db", "1"), 1, "not understood"),
    ):
        found = run("calibrate", *arguments)
        assert (found.exit_code, words in found.stderr) == (code, True), (arguments, found.stderr)
        assert len(found.stderr.strip().splitlines()) == 1
    assert not Path(table).exists()


def test_a_diode_switched_by_a_command_is_off_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, script = tmp_path / "log", tmp_path / "diode.py"
    script.write_text("import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ' ')")

    class Switched:
        def tune_rx(self, settings: RxSettings) -> RxSettings:
            return settings

        def receive(self, samples: int) -> RxBlock:
            words = log.read_text().split()
            on = words[-1] == "on"
            (block,) = blocks(on=on, count=1)
            return replace(block, iq=noise(on=on, samples=samples, seed=len(words)))

    opened = Opened(receiver=Switched(), full_scale=FULL, settings=SETTINGS, device_id="pluto 9")
    monkeypatch.setattr("agent.sense.calibration.open_receiver", lambda _name: opened)
    monkeypatch.setattr("agent.sense.calibration.SAMPLES", 16_384)
    command = f"{sys.executable} {script} {log}"
    done = run("calibrate", "pluto:", str(tmp_path / "t.toml"), "--enr-db", "15", "--diode", command)
    assert done.exit_code == 0, done.stderr
    assert "noise figure" in done.stdout
    assert log.read_text().split() == ["on", "off"] * 3
