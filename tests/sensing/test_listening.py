"""What `record` writes `sense` reads back to the same verdict, and what cannot be told is never told."""

import json
import resource
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sigmf
import typer
from typer.testing import CliRunner, Result

from agent.cli.record import record
from agent.cli.sense import sense
from agent.sense.receivers import Sweep, Wanted, open_source, settings_of, sweep_centers
from agent.sense.recorder import RecordRefused
from agent.sense.recorder import record as write
from agent.sense.session import SensePlan
from agent.sense.session import sense as run_sense
from agent.sense.sources import FileSource, Look, Origin, Tuning
from radio.errors import SourceError
from radio.ports import RxSettings
from radio.recording.metadata import RecordedPlace
from radio.recording.reader import open_recording
from sensing.flags import SampleFlag
from sensing.values import Channel

APP = typer.Typer()
APP.command()(sense)
APP.command()(record)
RATE = 2_000_000


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


def told(*arguments: str) -> dict[str, Any]:
    result = run("sense", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def noise(samples: int, *, level: float = 100.0, seed: int = 1) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).normal(0, level, (samples, 2))).astype("<i2")


def stored(folder: Path, data: np.ndarray, captures: list[dict[str, object]] | None = None, rate: int = RATE) -> Path:
    meta = folder / "one.sigmf-meta"
    about = {"core:datatype": "ci16_le", "core:sample_rate": rate, "core:version": "1.2.6"}
    meta.write_text(json.dumps({"global": about, "captures": captures or [], "annotations": []}))
    meta.with_suffix(".sigmf-data").write_bytes(data.tobytes())
    return meta


def verdict(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "source"}


@pytest.mark.feature("E8")
@pytest.mark.parametrize("name", ["air", "air.sigmf"])
def test_a_recording_of_the_simulation_says_what_the_simulation_says(tmp_path: Path, name: str) -> None:
    made = run("record", "sim:", str(tmp_path / name), "--for", "60ms", "--json")
    assert made.exit_code == 0, made.stderr
    written = json.loads(made.stdout)["path"]
    assert verdict(told(f"file:{written}")) == verdict(told("sim:", "--for", "60ms"))
    assert told(f"file:{written}")["channels"][0]["state"] == "free"
    if name.endswith(".sigmf"):
        with tarfile.open(written) as tar:
            assert sorted(tar.getnames()) == ["air", "air/air.sigmf-data", "air/air.sigmf-meta"]
        recording = sigmf.sigmffile.fromarchive(written)
    else:
        recording = sigmf.sigmffile.fromfile(written)
    recording.validate()
    assert len(recording) == json.loads(made.stdout)["samples"]
    about, (capture,) = recording.get_global_info(), recording.get_captures()
    assert {e["name"]: e["version"] for e in about["core:extensions"]}["ntia-sensor"] == "v2.0.0"
    assert about["core:geolocation"]["coordinates"] == [-76.3, 36.95]
    assert about["core:hw"].startswith("bandpact-sim")
    assert about["ntia-sensor:sensor"]["sensor_spec"]["id"]
    assert capture["core:datetime"].endswith("Z")
    assert "bandpact:time_bound_s" in capture
    assert (capture["bandpact:bandwidth_hz"], capture["bandpact:gain_db"]) == (20e6, 40.0)
    assert capture["ntia-sensor:sigan_settings"] == {"gain": 40.0}


class Heard:
    """A source that gives looks as they are put into it."""

    def __init__(self, looks: list[Look], *, origin: Origin | None = None) -> None:
        self._looks = looks
        self.name, self.full_scale, self.samples, self.scale = "test:", 2048.0, None, None
        self.tunings = tuple(dict.fromkeys(look.tuning for look in looks))
        self.origin = origin or Origin()

    def looks(self, look_s: float = 0.02) -> Iterator[Look]:
        yield from self._looks

    def close(self) -> None:
        pass


TUNED = Tuning(center_hz=3.555e9, sample_rate_hz=RATE, bandwidth_hz=1.6e6, gain_db=30.0)


def looks(*flags: SampleFlag, gaps_ns: tuple[int, ...] = (), tuning: Tuning = TUNED) -> list[Look]:
    made, at_ns = [], 0
    for i, flag in enumerate(flags):
        at_ns += gaps_ns[i] if i < len(gaps_ns) else 0
        made.append(Look(iq=noise(40_000, seed=i), start_ns=at_ns, flags=flag, tuning=tuning))
        at_ns += 20_000_000
    return made


@pytest.mark.feature("E4")
@pytest.mark.parametrize(
    "given",
    [
        looks(*[SampleFlag.NONE] * 4),
        looks(SampleFlag.NONE, SampleFlag.OWN_TX, SampleFlag.OWN_TX, SampleFlag.NONE),
        looks(SampleFlag.NONE, SampleFlag.GAP, SampleFlag.NONE),
        looks(SampleFlag.NONE, SampleFlag.CLIPPED, SampleFlag.STALE, SampleFlag.NONE),
        looks(*[SampleFlag.NONE] * 4, gaps_ns=(0, 0, 1_500_000_000, 7_000_000)),
        looks(SampleFlag.NONE, SampleFlag.GAIN_STEP, SampleFlag.OVERFLOW_UNKNOWN),
        looks(SampleFlag.NONE, SampleFlag.DEAF, SampleFlag.MOVED),
    ],
)
def test_what_only_the_driver_knew_comes_back(tmp_path: Path, given: list[Look]) -> None:
    source = Heard(given, origin=Origin(utc_ns=1_800_000_000 * 10**9, bound_ns=4_000_000))
    (live,) = run_sense(source, SensePlan())
    done = write(source, SensePlan(), tmp_path / "again")
    read = FileSource("test:", open_recording(done.meta))
    (again,) = run_sense(read, SensePlan())
    assert [(a.start_ns, len(a.iq)) for a in read.looks()] == [(b.start_ns, len(b.iq)) for b in given]
    assert again.report.flags == live.report.flags
    assert (again.seconds, again.span_s, again.gaps) == (live.seconds, live.span_s, live.gaps)
    for one, other in zip(again.report.channels, live.report.channels, strict=True):
        assert one.state is other.state
        assert one.occupancy.value == other.occupancy.value or np.isnan(one.occupancy.value)


@pytest.mark.feature("E8")
def test_gaps_are_captures_with_the_time_and_how_sure_it_is(tmp_path: Path) -> None:
    source = Heard(
        looks(*[SampleFlag.NONE] * 3, gaps_ns=(0, 250_000_000, 0)),
        origin=Origin(utc_ns=1_800_000_000 * 10**9, bound_ns=4_000_000, device="unit 7"),
    )
    where = Origin(place=RecordedPlace(lat_deg=52.5, lon_deg=13.25, height_m=40.0, radius_m=3.0))
    done = write(source, SensePlan(), tmp_path / "gap", origin=where)
    found = sigmf.sigmffile.fromfile(str(done.meta))
    found.validate()
    first, second = found.get_captures()
    assert (first["core:datetime"], second["core:datetime"]) == (
        "2027-01-15T08:00:00.000000000Z", "2027-01-15T08:00:00.270000000Z",
    )  # fmt: skip
    assert first["bandpact:time_bound_s"] == second["bandpact:time_bound_s"] == 0.004
    assert (second["core:sample_start"], second["core:global_index"]) == (40_000, 540_000)
    place = open_recording(done.meta).place
    assert place == where.place


@pytest.mark.feature("E1")
def test_time_between_captures_is_not_listened_to(tmp_path: Path) -> None:
    loud = noise(40_000, level=1500, seed=9)
    captures: list[dict[str, object]] = [
        {"core:sample_start": 0, "core:datetime": "2026-01-01T00:00:00.000Z"},
        {"core:sample_start": 400_000, "core:datetime": "2026-01-01T00:00:05.200Z"},
        {"core:sample_start": 440_000, "core:datetime": "2026-01-01T00:00:05.220Z"},
    ]
    found = told(f"file:{stored(tmp_path, np.concatenate([noise(400_000), loud, noise(360_000, seed=3)]), captures)}")
    assert (found["seconds"], found["gaps"]) == (0.4, 1)
    assert found["span_s"] == pytest.approx(5.4, abs=0.001)
    assert found["channels"][0]["occupancy"]["value"] == pytest.approx(0.05, abs=0.01)
    assert "GAP" in found["flags"]


def test_captures_at_several_frequencies_are_several_tunings(tmp_path: Path) -> None:
    captures: list[dict[str, object]] = [
        {"core:sample_start": 0, "core:frequency": 3.55e9},
        {"core:sample_start": 200_000, "core:frequency": 3.56e9},
        {"core:sample_start": 400_000, "core:frequency": 3.55e9},
    ]
    quiet = noise(600_000)
    quiet[200_000:400_000] //= 4
    path = stored(tmp_path, quiet, captures)
    found = told(f"file:{path}")
    assert [part["center_hz"] for part in found["tunings"]] == [3_550_000_000, 3_560_000_000]
    assert [part["seconds"] for part in found["tunings"]] == [0.2, 0.1]
    floors = [channel["noise_floor"]["value"] for channel in found["channels"]]
    assert floors[0] - floors[1] == pytest.approx(12, abs=1)
    one = told(f"file:{path}", "3559.5-3560.5MHz")
    assert [c["low_hz"] for c in one["channels"]] == [3_559_500_000]
    assert run("sense", f"file:{path}", "3570-3571MHz").exit_code == 2


@pytest.mark.feature("E4")
@pytest.mark.parametrize(
    ("data", "rate", "words"),
    [
        (np.zeros((200_000, 2), "<i2"), RATE, ["unknown", "Cannot tell of", "Radar: cannot tell of P0N#1"]),
        (noise(60), RATE, ["unknown", "held no block", "Radar: cannot tell of P0N#1"]),
        (
            np.clip(noise(400_000).astype(np.int32) * 60, -2048, 2047).astype("<i2"),
            10_000_000,
            ["unknown", "no samples that could be used"],
        ),
        (noise(400_000), RATE, ["Radar: cannot tell of P0N#1, Q3N#1, Q3N#2, Q3N#3", "too narrow", "None of P0N#2"]),
        (noise(20_000), 10_000_000, ["Radar: cannot tell of", "shorter than a train"]),
    ],
)
def test_what_cannot_be_told_is_said(tmp_path: Path, data: np.ndarray, rate: int, words: list[str]) -> None:
    shown = run("sense", f"file:{stored(tmp_path, data, rate=rate)}").stdout
    assert "No radar heard" not in shown
    for word in words:
        assert word in shown
    if "unknown" in words:
        assert " free " not in shown
        (channel,) = told(f"file:{tmp_path / 'one.sigmf-meta'}")["channels"]
        assert channel["occupancy"]["value"] is None
        assert channel["why"]


@pytest.mark.feature("E4")
def test_samples_that_come_again_are_stale_and_tell_nothing() -> None:
    given = looks(*[SampleFlag.NONE] * 6)
    fresh = run_sense(Heard(given), SensePlan())[0].report.channels[0]
    assert SampleFlag.STALE not in fresh.flags
    again = run_sense(Heard([replace(one, iq=given[i % 2].iq) for i, one in enumerate(given)]), SensePlan())
    assert SampleFlag.STALE in again[0].report.channels[0].flags
    assert again[0].report.channels[0].state.value == "unknown"


@pytest.mark.feature("E4")
def test_beyond_the_filter_nothing_is_told(tmp_path: Path) -> None:
    source = Heard(looks(*[SampleFlag.NONE] * 3))
    done = write(source, SensePlan(), tmp_path / "narrow")
    found = told(f"file:{done.meta}", "3554-3556MHz", "--channel-width", "500kHz")
    told_of = [(c["state"], c["why"].startswith("reaches beyond")) for c in found["channels"]]
    assert told_of == [("unknown", True), ("unknown", False), ("unknown", False), ("unknown", True)]
    assert all(c["occupancy"] == {"value": None, "low": 0.0, "high": 1.0} for c in found["channels"])
    shown = run("sense", f"file:{done.meta}", "3554-3556MHz", "--channel-width", "500kHz").stdout
    assert "reaches beyond the filter, 3554.200-3555.800 MHz" in shown


@pytest.mark.feature("E8")
def test_a_picture_shows_time_threshold_and_what_is_not_told(tmp_path: Path) -> None:
    captures: list[dict[str, object]] = [
        {"core:sample_start": 0, "core:datetime": "2026-01-01T00:00:00.000Z", "bandpact:bandwidth_hz": 1.6e6},
        {"core:sample_start": 200_000, "core:datetime": "2026-01-01T00:00:00.300Z", "bandpact:bandwidth_hz": 1.6e6},
    ]
    quiet = noise(400_000)
    quiet[80_000:120_000] += (
        np.rint(400 * np.exp(0.3j * np.arange(40_000))).view(np.float64).reshape(-1, 2).astype("<i2")
    )
    path = stored(tmp_path, quiet, captures)
    done = run("sense", f"file:{path}", "--channel-width", "400kHz", "--plot", str(tmp_path / "p.svg"), "--json")
    assert done.exit_code == 0, done.stderr
    drawn = (tmp_path / "p.svg").read_text()
    for words in ("seconds", "busy from, in one block", "sees from", "not told", "MHz"):
        assert words in drawn
    for channel in json.loads(done.stdout)["channels"]:
        assert channel["threshold"]["value"] > channel["noise_floor"]["value"]
        assert channel["threshold"]["unit"] == "dBFS/Hz"


@pytest.mark.feature("E1")
def test_what_channels_leave_over_is_said(tmp_path: Path) -> None:
    path = stored(tmp_path, noise(200_000))
    found = told(f"file:{path}", "--channel-width", "500kHz")
    assert len(found["channels"]) == 3
    assert [(u["low_hz"], u["high_hz"]) for u in found["unreported"]] == [
        (600_000, 900_000), (-1_000_000, -900_000), (900_000, 1_000_000),
    ]  # fmt: skip
    shown = run("sense", f"file:{path}", "--channel-width", "500kHz").stdout
    assert "Not reported: 0.600-0.900 MHz, narrower than a channel of 0.5 MHz" in shown


@pytest.mark.feature("E8")
def test_narrow_channels_at_a_wide_rate(tmp_path: Path) -> None:
    rate = 10_000_000
    samples = 60 * 32_768
    t = np.arange(samples) / rate
    carrier = 150 * np.exp(1j * (2 * np.pi * 1_006_250 * t + 3 * np.sin(2 * np.pi * 500 * t)))
    data = noise(samples) + np.rint(np.stack([carrier.real, carrier.imag], axis=1)).astype("<i2")
    path = stored(tmp_path, data, [{"core:sample_start": 0, "core:frequency": 446_000_000}], rate)
    found = told(f"file:{path}", "446.950-447.050MHz", "--channel-width", "12.5kHz")
    states = {round((c["low_hz"] - 446e6) / 12_500): c["state"] for c in found["channels"]}
    assert len(states) == 8
    assert [k for k, state in states.items() if state == "busy"] == [80]
    assert run("sense", f"file:{path}", "--channel-width", "100Hz").exit_code == 2


@pytest.mark.feature("R4")
def test_a_full_disk_leaves_nothing_and_the_retry_works(tmp_path: Path) -> None:
    source = f"file:{stored(tmp_path, noise(400_000))}"
    before = {p.name for p in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name, limit in (("out", 500_000), ("out.sigmf", 500_000), ("out", 1)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            failed = run("record", source, str(tmp_path / name))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert failed.exit_code == 1
        assert "cannot be written" in failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1
        assert {p.name for p in tmp_path.iterdir()} == before
    assert run("record", source, str(tmp_path / "out")).exit_code == 0
    assert run("record", source, str(tmp_path / "none" / "out")).exit_code == 1


def test_metadata_that_cannot_be_written_takes_the_samples_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("radio.recording.writer.write_whole", full)
    with pytest.raises(RecordRefused, match="No space left"):
        write(Heard(looks(SampleFlag.NONE)), SensePlan(), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_recording_leaves_nothing(tmp_path: Path) -> None:
    class Cut(Heard):
        def looks(self, look_s: float = 0.02) -> Iterator[Look]:
            yield self._looks[0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(Cut(looks(SampleFlag.NONE)), SensePlan(), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_name_with_a_dot_keeps_it(tmp_path: Path) -> None:
    done = write(Heard(looks(SampleFlag.NONE)), SensePlan(), tmp_path / "band-3.5GHz")
    assert done.meta.name == "band-3.5GHz.sigmf-meta"
    for name in ("band-3.5GHz", "band-3.5GHz.sigmf-meta", "band-3.5GHz.sigmf-data"):
        with pytest.raises(RecordRefused, match="exists already"):
            write(Heard(looks(SampleFlag.NONE)), SensePlan(), tmp_path / name)


@pytest.mark.feature("R4")
@pytest.mark.parametrize(
    ("data", "about"),
    [
        (noise(3000).astype("<f8") * 1e300, {"core:datatype": "cf64_le"}),
        (np.full((3000, 2), 3e38, "<f4"), {"core:datatype": "cf32_le"}),
        (np.full((3000, 2), -np.inf, "<f4"), {"core:datatype": "cf32_le"}),
        (noise(3000), {"core:sample_rate": 1}),
        (noise(3000), {"core:sample_rate": 2e10}),
        (noise(1), {}),
    ],
)
def test_whatever_is_valid_is_sensed_and_recorded(tmp_path: Path, data: np.ndarray, about: dict[str, object]) -> None:
    path = stored(tmp_path, data)
    meta = json.loads(path.read_text())
    meta["global"] |= about
    path.write_text(json.dumps(meta))
    for arguments in (("sense", "--products", str(tmp_path / "p.json")), ("record", str(tmp_path / "again"))):
        done = run(arguments[0], f"file:{path}", *arguments[1:])
        assert done.exit_code == 0, (done.exception, done.stderr)


HELD = RxSettings(center_hz=3_560_000_000, sample_rate_hz=30_720_000, bandwidth_hz=20_000_000, gain_mdb=40_000)


def test_a_receiver_is_tuned_for_the_band() -> None:
    band = Channel(low_hz=446e6, high_hz=446.2e6)
    tuned = settings_of("pluto:", None, Wanted(band=band))
    assert (tuned.center_hz, tuned.sample_rate_hz, tuned.bandwidth_hz) == (446_100_000, 2_500_000, 2_000_000)
    assert settings_of("sim:", HELD, Wanted()) == HELD
    assert settings_of("sim:", HELD, Wanted(band=Channel(low_hz=3.55e9, high_hz=3.56e9))) == HELD
    assert settings_of("sim:", HELD, Wanted(band=band)) == replace(HELD, center_hz=446_100_000)
    with pytest.raises(SourceError, match="tuned to nothing; give --frequency, or a BAND"):
        settings_of("pluto:", None, Wanted())
    wide = settings_of("pluto:", None, Wanted(center_hz=2.4e9, rate_hz=61.44e6, gain_db=20))
    assert (wide.bandwidth_hz, wide.gain_mdb) == (20_000_000, 20_000)


@pytest.mark.feature("E8")
def test_a_sweep_covers_its_span_and_rounds_begin_on_time() -> None:
    assert sweep_centers(Channel(low_hz=3.5e9, high_hz=3.6e9), 2e7) == tuple(
        3_510_000_000 + i * 20_000_000 for i in range(5)
    )
    assert sweep_centers(Channel(low_hz=0.0, high_hz=1e7), 2e7) == (5_000_000,)
    plan = Sweep(span=Channel(low_hz=3.54e9, high_hz=3.58e9), dwell_s=0.02, rounds=2, every_s=1.0)
    source = open_source("sim:", Wanted(), plan)
    heard = list(source.looks())
    assert [look.tuning.center_hz for look in heard] == [3.55e9, 3.57e9] * 2
    assert heard[2].start_ns == pytest.approx(10**9, abs=1000)
    found = told("sim:", "--sweep", "3540-3580MHz", "--dwell", "20ms", "--times", "2", "--every", "1s")
    assert [part["center_hz"] for part in found["tunings"]] == [3_550_000_000, 3_570_000_000]
    assert [part["gaps"] for part in found["tunings"]] == [1, 1]
    assert found["seconds"] == pytest.approx(0.08, abs=0.001)
