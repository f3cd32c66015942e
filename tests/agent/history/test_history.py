"""The history: sums that add up, honest intervals, a bounded size, and files that a kill leaves whole."""

import csv as csv_reader
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.history.heatmap import day_grid, heat_map
from agent.history.rows import ChannelRow, Row, level_db, merged, rolled
from agent.history.store import HOUR_NS, LENGTHS, MINUTE, NS, QUARTER, SECOND, Retention, Store
from agent.history.tally import BINS, coded
from agent.history.windows import fitting, plain
from tests.agent.history.days import CHANNELS, START_NS, seconds, written
from tests.agent.realparts import ended

RUN = CliRunner()
pytestmark = pytest.mark.feature("E9")


def channel(shares: list[float], **more: object) -> ChannelRow:
    values = np.array(shares)
    return ChannelRow(
        low_hz=1,
        high_hz=2,
        looks=len(values),
        busy=float(values.sum()),
        squares=float((values**2).sum()),
        pairs=max(0, len(values) - 1),
        products=float((values[1:] * values[:-1]).sum()),
        **more,  # type: ignore[arg-type]
    )


def test_what_was_not_listened_to_has_no_occupancy() -> None:
    assert ChannelRow(low_hz=1, high_hz=2, unsure=50).occupancy is None
    assert plain(Row(start_ns=0, length_ns=NS, channels=(ChannelRow(low_hz=1, high_hz=2),)))["channels"][0] == {
        "low_hz": 1, "high_hz": 2, "state": "unknown", "occupancy": None, "looks": 0, "unsure": 0, "floor_db": None,
        "floor_sd_db": None, "power_max_db": None, "unit": "dBFS/Hz",
    }  # fmt: skip
    assert level_db(0) is None


def test_all_idle_looks_still_leave_room_for_use() -> None:
    full = channel([0.0] * 50).occupancy
    assert full is not None
    assert (full.low, full.value) == (0.0, 0.0)
    assert full.high > 0.05


@pytest.mark.parametrize(("enters", "leaves"), [(0.5, 0.5), (0.05, 0.1), (0.02, 0.3)])
def test_a_minutes_interval_holds_the_truth_as_often_as_it_says(enters: float, leaves: float) -> None:
    rng = np.random.default_rng(7)
    truth, held, trials = enters / (enters + leaves), 0, 300
    for _ in range(trials):
        draws, state = rng.random(600), rng.random() < truth
        shares = []
        for draw in draws:
            state = (draw >= leaves) if state else (draw < enters)
            shares.append(float(state))
        parts = [channel(shares[n : n + 50]) for n in range(0, 600, 50)]
        rows = [Row(start_ns=n * NS, length_ns=NS, channels=(one,)) for n, one in enumerate(parts)]
        full = merged(rows, start_ns=0, length_ns=60 * NS).channels[0].occupancy
        assert full is not None
        held += full.low <= truth <= full.high
    assert held >= 0.95 * trials - 3 * np.sqrt(trials * 0.95 * 0.05)


def test_a_minute_is_as_its_worst_second() -> None:
    good = Row(start_ns=0, length_ns=NS, time_trusted=True, clock_bound_ns=5, gate="OPEN", open_ms=1000,
               channels=(channel([0.0], state="free"),))  # fmt: skip
    bad = Row(start_ns=NS, length_ns=NS, time_trusted=False, clock_bound_ns=None, clock_reason="bound over budget",
              gate="ARMED", reason="LEASE", clause="gate.9", channels=(ChannelRow(low_hz=1, high_hz=2),))  # fmt: skip
    whole = merged([bad, good], start_ns=0, length_ns=60 * NS)
    assert (whole.time_trusted, whole.clock_bound_ns, whole.clock_reason) == (False, None, "bound over budget")
    assert (whole.gate, whole.reason, whole.open_ms) == ("ARMED", "LEASE", 1000)
    assert whole.channels[0].state == "unknown"


def test_sums_of_seconds_are_those_of_the_quarter() -> None:
    rows = list(seconds(1800))
    twice = rolled(rolled(rows, LENGTHS[MINUTE]), LENGTHS[QUARTER])
    once = rolled(rows, LENGTHS[QUARTER])
    assert [row.start_ns for row in twice] == [row.start_ns for row in once]
    for one, other in zip(once, twice, strict=True):
        assert one.max_hold == other.max_hold
        assert one.channels[0].looks == other.channels[0].looks
        assert one.channels[0].occupancy.value == pytest.approx(other.channels[0].occupancy.value)  # type: ignore[union-attr]


def test_a_quarter_has_one_floor_however_it_is_made() -> None:
    """From minutes and the seconds since, each second counted as much as a whole minute."""
    low, high = (ChannelRow(low_hz=1, high_hz=2, looks=50, floor_db=db) for db in (-150.0, -140.0))
    rows = [Row(start_ns=n * NS, length_ns=NS, channels=(low if n < 120 else high,)) for n in range(150)]
    minutes = rolled(rows[:120], LENGTHS[MINUTE])
    floors = [rolled(some, LENGTHS[QUARTER])[0].channels[0].floor_db for some in (rows, [*minutes, *rows[120:]])]
    assert floors == [pytest.approx(-148.0), pytest.approx(-148.0)]


def test_a_level_is_told_alike_before_and_after_it_is_written(tmp_path: Path) -> None:
    """What is on disk has 32 bits: -127.94 came back as -127.94000244140625, so that page and command differed."""
    level = ChannelRow(low_hz=1, high_hz=2, looks=1, floor_db=-127.94, floor_sd_db=0.33, power_max_db=-57.17)
    store = Store(folder=tmp_path / "history")
    store.open()
    store.add(Row(start_ns=START_NS, length_ns=NS, channels=(level,)))
    (waiting,) = store.rows(SECOND, START_NS, START_NS + NS)
    store.close()
    (kept,) = Store(folder=tmp_path / "history").rows(SECOND, START_NS, START_NS + NS)
    assert plain(waiting) == plain(kept)
    assert plain(kept)["channels"][0]["floor_db"] == -127.94


def test_a_spectrum_is_coded_within_a_quarter_decibel_and_keeps_what_was_not_sensed() -> None:
    psd = np.array([1e-15, 1e-9, np.nan, 1e-3], np.float32)
    codes = coded(psd)
    for code, power in zip(codes, psd, strict=True):
        got = level_db(int(code))
        assert (got is None) if np.isnan(power) else abs(got - 10 * np.log10(power)) <= 0.25 or int(code) in (1, 255)
    wide = np.full(4096, 1e-14, np.float32)
    wide[1000] = 1e-8
    assert coded(wide, BINS).max() == coded(np.array([1e-8], np.float32))[0]
    wide.flags.writeable = False
    coded(wide, BINS)


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return written(tmp_path_factory.mktemp("node") / "history", 3600 + 90)


def test_a_day_of_20_mhz_stays_under_50_mb(hours: Store) -> None:
    whole = sum(path.stat().st_size for path in (hours.folder / SECOND).glob("*.parquet") if path.stem.count("-") == 1)
    coarse = sum(path.stat().st_size for name in (MINUTE, QUARTER) for path in (hours.folder / name).glob("*"))
    assert (whole + coarse) * 24 < 50e6


def test_every_second_comes_back_as_it_was(hours: Store) -> None:
    rows = hours.rows(SECOND, START_NS, START_NS + 10**15)
    assert len(rows) == 3600 + 90
    assert [row.start_ns for row in rows] == [START_NS + n * NS for n in range(len(rows))]
    first = next(iter(seconds(1)))
    assert rows[0].max_hold == first.max_hold
    assert (rows[0].gate, rows[0].open_ms, rows[0].clock_bound_ns) == (first.gate, 1000, first.clock_bound_ns)
    assert rows[0].channels[2].looks == 50
    assert rows[7].incumbents[0].kind == "P0N1"
    minutes = hours.rows(MINUTE, START_NS, START_NS + 10**15)
    assert len(minutes) == 62  # with those of the hour that is not over
    assert sum(row.channels[0].looks for row in minutes) == sum(row.channels[0].looks for row in rows)
    events = hours.events(START_NS, START_NS + 60 * NS)
    assert events.num_rows == 4
    assert json.loads(events.column("fields")[0].as_py())["peer"] == "mallory"


def test_any_reader_of_parquet_reads_it(hours: Store) -> None:
    path = next(iter(sorted((hours.folder / MINUTE).glob("channels-*.parquet"))))
    table = pq.read_table(path)
    assert {"start_ns", "low_hz", "occupancy_low", "occupancy", "occupancy_high", "floor_db"} <= set(table.column_names)


@pytest.mark.parametrize("after", [15, 75, 130])
def test_killed_at_any_instant_it_is_whole_and_lacks_only_the_last_seconds(tmp_path: Path, after: int) -> None:
    folder = tmp_path / "history"
    writer = [sys.executable, "-m", "tests.agent.history.days", str(folder), str(after + 40)]
    process = subprocess.Popen(writer, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    with ended(process):
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(after)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        told += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
    for path in folder.glob("*/*.parquet"):
        pq.read_table(path)
    store = Store(folder=folder)
    store.open()
    rows = store.rows(SECOND, 0, 1 << 62)
    assert [row.start_ns for row in rows[: len(told) - 2]] == told[: len(rows)][: len(told) - 2]
    assert len(told) - 2 <= len(rows)
    later = next(iter(seconds(1, start_ns=rows[-1].start_ns + NS)))
    store.add(later)
    store.close()
    assert Store(folder=folder).rows(SECOND, 0, 1 << 62)[-1].start_ns == later.start_ns


def test_a_kill_between_the_hour_and_its_minutes_doubles_nothing(tmp_path: Path) -> None:
    store = written(tmp_path / "history", 130)
    minutes = {path.name: path.read_bytes() for path in (tmp_path / "history" / SECOND).glob("*.parquet")}
    Store(folder=store.folder).open()  # brings the hour together
    for name, data in minutes.items():
        (store.folder / SECOND / name).write_bytes(data)
    assert len(Store(folder=store.folder).rows(SECOND, 0, 1 << 62)) == 130
    Store(folder=store.folder).open()
    assert len(Store(folder=store.folder).rows(SECOND, 0, 1 << 62)) == 130


def test_a_broken_file_is_left_out_and_the_rest_is_read(tmp_path: Path) -> None:
    store = written(tmp_path / "history", 130)
    path = next(iter((store.folder / SECOND).glob("node-*-01.parquet")))
    path.write_bytes(path.read_bytes()[:100])
    assert len(Store(folder=store.folder).rows(SECOND, 0, 1 << 62)) == 70


@pytest.mark.parametrize("damage", ["cut", "empty", "loop"])
def test_a_file_that_cannot_be_read_is_told_of(tmp_path: Path, damage: str) -> None:
    store = written(tmp_path / "history", 130)
    path = next(iter((store.folder / SECOND).glob("channels-*-01.parquet")))
    held = path.read_bytes()
    path.unlink()
    if damage == "loop":
        path.symlink_to(path.name)
    else:
        path.write_bytes(held[:100] if damage == "cut" else b"")
    for words in (["show"], ["show", "--step", "1s"], ["export", "--csv", str(tmp_path / "out.csv")]):
        done = RUN.invoke(app, ["history", *words, str(tmp_path)])
        assert done.exit_code == 3, done.output
        assert f"{path}: cannot be read, and what it holds is missing here" in done.stderr
    done = RUN.invoke(app, ["history", "show", str(tmp_path), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["unread"]) == (3, [str(path)])


def test_a_picture_is_an_svg_or_a_png(tmp_path: Path) -> None:
    written(tmp_path / "history", 5)
    words = ["history", "export", str(tmp_path), "--csv", str(tmp_path / "a.csv"), "--plot", str(tmp_path / "a.bmp")]
    done = RUN.invoke(app, words)
    assert (done.exit_code, done.stderr) == (2, f"bandpact: --plot {tmp_path / 'a.bmp'}: name a .svg or .png file\n")
    assert not list(tmp_path.glob("a.*"))


def test_what_is_too_old_or_too_much_goes_the_finest_and_oldest_first(hours: Store, tmp_path: Path) -> None:
    shutil.copytree(hours.folder, tmp_path / "history")
    store = Store(folder=tmp_path / "history")
    now_ns = START_NS + 2 * HOUR_NS
    assert store.retain(now_ns) == []
    tight = Store(folder=store.folder, retention=Retention(bytes_max=store.size() - 1))
    gone = tight.retain(now_ns)
    assert gone
    assert all(path.parent.name == SECOND for path in gone)
    assert tight.size() < store.size() + sum(1 for _ in gone) * 10**7
    old = Store(folder=store.folder, retention=Retention(second_days=0.5, minute_days=1e3, quarter_days=1e3))
    old.retain(START_NS + 30 * HOUR_NS)
    assert not list((store.folder / SECOND).glob("*.parquet"))
    assert list((store.folder / MINUTE).glob("*.parquet"))


def test_events_at_a_strangers_pace_fill_no_disk(tmp_path: Path) -> None:
    store = Store(folder=tmp_path / "history")
    store.open()
    for n in range(5000):
        store.happened(START_NS, "refusal", {"n": n})
    assert store.left_out == 5000 - 600


def test_a_window_gets_a_fitting_resolution() -> None:
    assert [fitting(0, s * NS) for s in (60, 1500, 3600, 86_400, 7 * 86_400)] == ["1s", "1s", "1min", "1min", "15min"]


def test_scrolling_back_a_day_reads_in_a_fraction_of_a_second(hours: Store) -> None:
    began = time.process_time()
    rows = hours.rows(MINUTE, START_NS, START_NS + HOUR_NS)
    assert len(rows) == 60
    assert time.process_time() - began < 5  # printed by the soak test for a whole day; here only not absurd


# -- the command ---------------------------------------------------------------------------------------------------


def test_show_says_what_json_says(hours: Store) -> None:
    done = RUN.invoke(app, ["history", "show", str(hours.folder.parent), "--for", "2h", "--step", "15min", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["resolution"] == "15min"
    row = found["rows"][0]
    low, value, high = row["channels"][0]["occupancy"]
    assert low <= value <= high
    text = RUN.invoke(app, ["history", "show", str(hours.folder.parent), "--for", "2h", "--step", "15min"]).stdout
    assert f"3550-3555 MHz {100 * value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]" in text
    assert "INCUMBENT P0N1" in text


def test_an_export_overwrites_nothing_unless_told_to(hours: Store, tmp_path: Path) -> None:
    words = ["history", "export", str(hours.folder.parent), "--for", "2min", "--csv", str(tmp_path / "new.csv")]
    there = tmp_path / "there.parquet"
    there.write_text("a log")
    refused = RUN.invoke(app, [*words, "--parquet", str(there)])
    assert refused.exit_code == 1
    assert f"{there}: is there already" in refused.stderr
    assert (there.read_text(), list(tmp_path.iterdir())) == ("a log", [there])
    assert RUN.invoke(app, [*words, "--parquet", str(there), "--force"]).exit_code == 0
    assert there.read_bytes()[:4] == b"PAR1"
    assert RUN.invoke(app, [*words[:-1], "/dev/null"]).exit_code == 0, "what is no plain file is written to"
    twice = RUN.invoke(
        app, [*words, "--plot", str(tmp_path / "a.png"), "--parquet", str(tmp_path / "a.png"), "--force"]
    )
    assert twice.exit_code == 2


def test_exports_are_what_others_read(hours: Store, tmp_path: Path) -> None:
    sigmf = pytest.importorskip("sigmf")
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "parquet", "sigmf-meta", "png")}
    done = RUN.invoke(
        app,
        ["history", "export", str(hours.folder.parent), "--for", "2h", "--step", "1min", "--csv", str(out["csv"]),
         "--parquet", str(out["parquet"]), "--sigmf", str(out["sigmf-meta"]), "--plot", str(out["png"])],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = list(csv_reader.DictReader(io.StringIO(out["csv"].read_text())))
    assert len(lines) == len(CHANNELS) * len({line["start_ns"] for line in lines})
    assert float(lines[0]["occupancy_low"]) <= float(lines[0]["occupancy"]) <= float(lines[0]["occupancy_high"])
    assert pq.read_table(out["parquet"]).num_rows == len(lines)
    recording = sigmf.fromfile(str(out["sigmf-meta"]))
    recording.validate()
    assert len(recording.get_captures()) * BINS == len(recording.read_samples())
    assert any(a["core:label"] == "incumbent P0N1" for a in recording.get_annotations())
    assert out["png"].read_bytes().startswith(b"\x89PNG")


def test_the_heat_map_leaves_what_was_not_sensed_empty() -> None:
    rows = rolled(seconds(120), LENGTHS[MINUTE])
    names, value, width = day_grid(rows, START_NS, START_NS + 5 * LENGTHS[MINUTE], LENGTHS[MINUTE])
    assert names == CHANNELS
    assert np.isfinite(value[:, :2]).all()
    assert np.isnan(value[:, 2:]).all()
    assert (width[:, :2] > 0).all()
    svg = heat_map(rows, from_ns=START_NS, to_ns=START_NS + HOUR_NS, step_ns=LENGTHS[MINUTE], title="T", svg=True)
    assert b"<svg" in svg


def test_without_a_history_it_says_so(tmp_path: Path) -> None:
    done = RUN.invoke(app, ["history", "show", str(tmp_path)])
    assert done.exit_code == 1
    assert "no history there" in done.stderr


def test_the_writer_has_the_minutes_of_its_hour_at_hand_and_they_are_those_of_the_files(tmp_path: Path) -> None:
    store = Store(folder=tmp_path / "history")
    store.open()
    for row in seconds(200):
        store.add(row)
    store.flush()
    reader = Store(folder=store.folder)
    for resolution in (MINUTE, QUARTER):
        ours, theirs = (one.rows(resolution, START_NS, START_NS + HOUR_NS) for one in (store, reader))
        assert [row.start_ns for row in ours] == [row.start_ns for row in theirs]
        assert [row.max_hold for row in ours] == [row.max_hold for row in theirs]
        assert [row.channels[0].looks for row in ours] == [row.channels[0].looks for row in theirs]


@pytest.mark.attack(69)
def test_a_strange_file_and_one_that_is_damaged_are_left_out(tmp_path: Path) -> None:
    store = written(tmp_path / "history", 90)
    folder = tmp_path / "history" / SECOND
    for name in ("node-zzz.parquet", "node-2026133399.parquet", "strange.parquet", "node-9999999999-59.parquet"):
        (folder / name).write_bytes(b"PAR1 and no more")
    shown = RUN.invoke(app, ["history", "show", str(tmp_path), "--step", "1s", "--json"])
    assert shown.exit_code == 0, shown.output
    assert len(json.loads(shown.output)["rows"]) == 90
    assert store.retain(START_NS + 3600 * NS) == []


def test_an_export_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "history", 5)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr("os.fsync", full)
    kinds = ("csv", "parquet", "sigmf", "plot")
    words = [word for kind in kinds for word in (f"--{kind}", str(out / f"h.{'png' if kind == 'plot' else kind}"))]
    assert RUN.invoke(app, ["history", "export", str(tmp_path), *words]).exit_code == 1
    assert list(out.iterdir()) == []
