"""`bandpact sense` and `record` by their published names, on recordings good and bad."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import sigmf
import typer
from typer.testing import CliRunner, Result

from agent.cli.record import record
from agent.cli.sense import sense
from agent.sense.bands import BandUnreadable, channels_of, parse_band, parse_frequency
from sim.waveforms.radar import Radar, RadarClassName, render

APP = typer.Typer()
APP.command()(sense)
APP.command()(record)
RATE = 10_000_000
RECORDINGS = Path(os.environ.get("BANDPACT_IQ", Path(__file__).parents[3] / "shared" / "iq"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


def written(folder: Path, data: np.ndarray, datatype: str = "ci16_le", rate: int = RATE) -> Path:
    meta = folder / "one.sigmf-meta"
    about = {"core:datatype": datatype, "core:sample_rate": rate, "core:version": "1.2.6"}
    captures = [{"core:sample_start": 0, "core:frequency": 3_555_000_000}]
    meta.write_text(json.dumps({"global": about, "captures": captures, "annotations": []}))
    meta.with_suffix(".sigmf-data").write_bytes(data.tobytes())
    return meta


def radar_in_noise() -> np.ndarray:
    rng = np.random.default_rng(2)
    radar = Radar(radar_class=RadarClassName.P0N1, pulse_s=1e-6, chirp_hz=0, pulses_per_s=1000, pulses_per_burst=20)
    samples = RATE // 20
    pulses = render(radar, sample_rate_hz=RATE, start=-RATE // 100, samples=samples) * np.sqrt(100 * 1e6 / RATE * 1.2)
    z = pulses + (rng.standard_normal(samples) + 1j * rng.standard_normal(samples)) / np.sqrt(2)
    return np.rint(np.stack([z.real, z.imag], axis=1) * 100).astype("<i2")


@pytest.mark.feature("E1")
@pytest.mark.feature("E3")
def test_json_has_the_published_names_and_nothing_else_is_printed(tmp_path: Path) -> None:
    meta = written(tmp_path, radar_in_noise())
    result = run("sense", f"file:{meta}", "--json", "--channel-width", "4MHz")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert {"source", "center_hz", "sample_rate_hz", "overload", "flags", "channels", "incumbents", "sro"} <= set(found)
    assert found["center_hz"] == 3_555_000_000
    assert found["flags"] == ["UNCALIBRATED"]
    assert len(found["channels"]) == 2
    for channel in found["channels"]:
        assert set(channel["occupancy"]) == {"value", "low", "high"}
        assert set(channel["noise_floor"]) == {"value", "sd", "unit"}
        assert channel["noise_floor"]["unit"] == "dBFS/Hz"
        assert set(channel["sensitivity_limit"]) == {"value", "unit"}
        assert {"low_hz", "high_hz", "state", "flags", "headroom"} <= set(channel)
    (radar,) = found["incumbents"]
    assert radar["class"] == "P0N#1"
    assert radar["t_s"] == pytest.approx(0.01, abs=0.0015)
    assert radar["low_hz"] < 3_555_000_000 < radar["high_hz"]
    assert set(radar["confidence"]) == {"value", "low", "high"}


@pytest.mark.feature("E3")
def test_pulses_that_were_a_radar_first_and_went_on_are_told_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    z = (rng.standard_normal(RATE // 5) + 1j * rng.standard_normal(RATE // 5)) / np.sqrt(2)
    z[np.add.outer(np.arange(500, len(z), RATE // 1000), np.arange(15)).ravel()] += 12
    data = np.rint(np.stack([z.real, z.imag], axis=1) * 100).astype("<i2")
    told = run("sense", f"file:{written(tmp_path, data)}").stdout
    assert "No radar heard." in told
    assert "Pulses like P0N#1's" in told


def test_table_says_levels_are_relative(tmp_path: Path) -> None:
    result = run("sense", f"file:{written(tmp_path, radar_in_noise())}", "3551-3559MHz")
    assert result.exit_code == 0
    assert "relative" in result.stdout
    assert "Radar P0N#1" in result.stdout


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_plot_is_written(tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"one.{suffix}"
    assert run("sense", f"file:{written(tmp_path, radar_in_noise())}", "--plot", str(picture)).exit_code == 0
    assert picture.stat().st_size > 5000
    if suffix == "svg":
        assert "<svg" in picture.read_text()


def test_a_recording_is_named_by_its_path_alone(tmp_path: Path) -> None:
    meta = written(tmp_path, radar_in_noise())
    data = meta.with_suffix(".sigmf-data")
    said = [json.loads(run("sense", str(one), "--json").stdout) for one in (f"file:{meta}", meta, data)]
    for one in said:
        one.pop("source")
    assert said[0] == said[1] == said[2]
    assert said[0]["channels"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("file:nowhere.sigmf-meta",), 1, "no such recording; check the path"),
        (("nowhere.sigmf-meta",), 1, "no such recording; check the path"),
        (("nowhere.sigmf-data",), 1, "nowhere.sigmf-meta: no such recording; check the path"),
        (("nowhere.sigmf",), 1, "no such recording; check the path"),
        (("nowhere.wav",), 1, "use PATH.sigmf-meta, sim: or pluto:URI"),
        (("/dev/null",), 1, "/dev/null: not a SigMF recording; name its .sigmf-meta file, or a .sigmf archive"),
        (("x" * 5000,), 1, "use PATH.sigmf-meta, sim: or pluto:URI"),
        (("",), 1, "use PATH.sigmf-meta, sim: or pluto:URI"),
        (("radio:7",), 1, "use PATH.sigmf-meta, sim: or pluto:URI"),
        (("file:{good}", "3550-3560"), 2, "with a unit"),
        (("file:{good}", "3600-3610MHz"), 2, "choose a channel inside it"),
        (("file:{good}", "--plot", "x.pdf"), 2, "name a .svg or .png file"),
        (("file:{good}", "--plot", "/proc/none/x.svg"), 1, "choose another place"),
    ],
)
def test_mistakes_get_one_line_and_the_right_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    good = written(tmp_path, radar_in_noise()[:20_000])
    result = run("sense", *(a.format(good=good) for a in arguments))
    assert result.exit_code == code
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.feature("R4")
def test_record_writes_what_the_validator_and_sense_accept(tmp_path: Path) -> None:
    meta = written(tmp_path, radar_in_noise())
    copy = tmp_path / "copy"
    result = run("record", f"file:{meta}", str(copy), "--json")
    assert result.exit_code == 0
    recording = sigmf.sigmffile.fromfile(str(copy.with_suffix(".sigmf-meta")))
    recording.validate()
    labels = [one.get("core:label") for one in recording.get_annotations()]
    assert "radar P0N#1" in labels
    assert copy.with_suffix(".sigmf-data").read_bytes() == meta.with_suffix(".sigmf-data").read_bytes()
    assert run("sense", f"file:{copy.with_suffix('.sigmf-meta')}").exit_code == 0
    again = run("record", f"file:{meta}", str(copy))
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_bands_need_units() -> None:
    band = parse_band("3.55GHz-3560MHz")
    assert (band.low_hz, band.high_hz) == (3.55e9, 3.56e9)
    assert [c.low_hz for c in channels_of(parse_band("3550-3570MHz"), 10e6)] == [3.55e9, 3.56e9]
    assert parse_frequency("10 MHz") == 10e6
    for wrong in ("3550-3560", "3560-3550MHz", "a-bMHz"):
        with pytest.raises(BandUnreadable):
            parse_band(wrong)
    with pytest.raises(BandUnreadable):
        parse_frequency("10")


def sensed(name: str) -> dict[str, object]:
    meta = RECORDINGS / f"{name}.sigmf-meta"
    if not meta.exists():
        pytest.skip(f"{meta} is not here; set BANDPACT_IQ to the folder that has it")
    result = run("sense", f"file:{meta}", "--json")
    assert result.exit_code == 0
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.mark.feature("E1")
def test_td_lte_over_the_air() -> None:
    found = sensed("tdlte-1889.9MHz")
    channel = found["channels"][0]  # type: ignore[index]
    assert channel["state"] == "busy"
    assert channel["occupancy"]["value"] == pytest.approx(0.35, abs=0.03)
    assert channel["period_ms"] == pytest.approx(5.0, abs=0.1)
    assert found["incumbents"] == []


@pytest.mark.feature("E1")
def test_mode_s_over_the_air() -> None:
    found = sensed("modes-1090MHz")
    channel = found["channels"][0]  # type: ignore[index]
    assert channel["state"] == "busy"
    assert channel["bursty"] is True
    assert channel["noise_floor"]["value"] + 63 < -19
    assert found["incumbents"] == []


@pytest.mark.feature("E1")
def test_the_table_fits_eighty_columns_with_no_word_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    meta = written(tmp_path, radar_in_noise())
    shown = run("sense", f"file:{meta}", "--channel-width", "2MHz").stdout
    lines = shown.splitlines()
    table = [line for line in lines if "+" not in line and not line.startswith(("Radar", "file:"))]
    assert max(map(len, table)) <= 80
    assert "\u2026" not in shown
    assert "3550.500-3552.500" in shown
    assert "No calibration holds here" in shown
