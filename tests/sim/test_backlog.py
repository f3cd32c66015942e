"""The oracle's backlog: bounded in memory and on disk, nothing lost, and the same samples are measured once."""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.ports import Iq16
from sim import backlog, oracle
from sim.air import Air
from sim.airworker import Worker
from sim.backlog import Backlog, KnownContents
from sim.device import BurstSegment
from sim.oraclelog import OracleLog, read_log
from sim.stations import AirConfig, Hardware, Station

NS = 10**9
RATE = 1_920_000
SAMPLES = 4096
SIZE = 4 * SAMPLES
STATION = Station(name="p", lat_deg=37.0, lon_deg=-76.0, hardware=Hardware())
AIR = AirConfig(stations=(STATION,))
LENGTH_NS = SAMPLES * NS // RATE


def segment(number: int, **more: Any) -> BurstSegment:
    made: dict[str, Any] = {
        "id": number, "station": "p", "burst": number, "first_sample": 0, "samples": SAMPLES,
        "start_ns": NS + number * LENGTH_NS, "end_ns": NS + (number + 1) * LENGTH_NS, "center_hz": 3_555_000_000,
        "sample_rate_hz": RATE, "attenuation_mdb": 0, "live": True,
    }  # fmt: skip
    return BurstSegment(**{**made, **more})


def samples(number: int) -> Iq16:
    return np.random.default_rng(number).integers(-1500, 1500, (SAMPLES, 2), np.int16)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def look(number: int) -> dict[str, Any]:
    settings = {"center_hz": 3_555_000_000, "sample_rate_hz": RATE, "bandwidth_hz": RATE, "gain_mdb": 30_000}
    return {"op": "look", "look": number, "station": "p", "settings": settings, "start_ns": NS, "samples": 1024}


def test_what_waits_beyond_the_memory_lies_on_disk_and_comes_back_in_order(tmp_path: Path) -> None:
    held = Backlog(tmp_path, memory_bytes=3 * SIZE, disk_bytes=1 << 30)
    for number in range(40):
        held.add(segment(number), samples(number))
        assert held.in_memory <= 3 * SIZE
    assert (len(held), held.in_memory, held.on_disk, held.pressing) == (40, 3 * SIZE, 37 * SIZE, False)
    assert list(tmp_path.iterdir()) == [], "files without a name: nothing is left where the process is killed"
    for number in range(40):
        found, iq = held.take()
        assert found.id == number
        assert np.array_equal(iq, samples(number))
    assert (len(held), held.in_memory, held.on_disk) == (0, 0, 0)


def test_a_file_is_given_back_as_soon_as_all_in_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "FILE_BYTES", 4 * SIZE)
    before = open_files()
    held, most = Backlog(tmp_path, memory_bytes=0, disk_bytes=1 << 30), 0
    for number in range(200):
        held.add(segment(number), samples(number))
        if number >= 8:
            assert held.take()[0].id == number - 8
        most = max(most, open_files() - before)
    # Eight wait, in files of four: two whole ones, the one that is read and the one that is written.
    assert 2 <= most <= 4
    held.close()
    assert open_files() == before


def test_a_disk_that_takes_nothing_presses_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Backlog(tmp_path, memory_bytes=SIZE, disk_bytes=1 << 30)
    for number in range(3):
        held.add(segment(number), samples(number))

    def full(*_: object, **_more: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for number in range(3, 6):
        held.add(segment(number), samples(number))
    assert held.pressing
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    held.add(segment(6), samples(6))
    found = [held.take() for _ in range(7)]
    assert [one.id for one, _ in found] == list(range(7))
    assert all(np.array_equal(iq, samples(one.id)) for one, iq in found)
    assert not held.pressing


def test_a_worker_that_is_behind_stays_small_and_measures_every_burst_all_the_same(tmp_path: Path) -> None:
    log = OracleLog(tmp_path / "log.json", zero_ns=0)
    held = Backlog(tmp_path, memory_bytes=4 * SIZE, disk_bytes=1 << 30)
    worker = Worker(Air(AIR), AIR, history_ns=20_000_000, floor_dbm=-40.0, log=log, backlog=held)
    for number in range(300):
        one = segment(number)
        worker.take({"op": "begin", "segment": asdict(one)}, samples(number).data.cast("B"))
        worker.take({"op": "end", "segment": asdict(one)}, None)
        worker.tidy(now_ns=one.end_ns)
        # What a look has to sum up, and what is held for it, is of the last moments, however much is still to measure.
        assert len(worker._segments) <= 40
        assert len(worker._iq) <= 80
    assert len(held) == 300
    assert held.in_memory <= 4 * SIZE
    worker.take({"op": "dump", "dump": 1, "now_ns": 10 * NS}, None)
    while not worker.idle:
        answer = worker.step()
    assert answer is not None
    assert answer[0] == {"op": "dumped", "dump": 1}
    found = read_log(tmp_path / "log.json")
    assert found == [oracle.burst(segment(n), samples(n), STATION, floor_dbm=-40.0) for n in range(300)]
    worker.close()


def test_looks_come_first_until_no_more_can_be_put_off(tmp_path: Path) -> None:
    log = OracleLog(tmp_path / "log.json", zero_ns=0)
    held = Backlog(tmp_path, memory_bytes=0, disk_bytes=2 * SIZE)
    worker = Worker(Air(AIR), AIR, history_ns=NS, floor_dbm=-40.0, log=log, backlog=held)
    for number in range(4):
        worker.take({"op": "begin", "segment": asdict(segment(number))}, samples(number).data.cast("B"))
        worker.take({"op": "end", "segment": asdict(segment(number))}, None)
    worker.take(look(1), None)
    worker.take(look(2), None)
    done: list[str] = []
    while not worker.idle:
        answer = worker.step()
        done.append("look" if answer is not None else "measured")
    assert done == ["measured", "measured", "look", "look", "measured", "measured"]
    worker.close()


def test_a_look_that_waits_still_hears_what_was_sent_then(tmp_path: Path) -> None:
    def heard(wait: bool) -> bytes:
        worker = Worker(Air(AIR), AIR, history_ns=20_000_000, floor_dbm=-40.0, log=None)
        worker.take({"op": "begin", "segment": asdict(segment(0))}, samples(0).data.cast("B"))
        worker.take({"op": "end", "segment": asdict(segment(0))}, None)
        worker.take(look(1), None)
        for after_s in (1, 2, 3) if wait else ():
            worker.tidy(now_ns=NS + after_s * NS)
        answer = worker.step()
        assert answer is not None
        assert answer[1] is not None
        return answer[1]

    assert heard(wait=True) == heard(wait=False)


def test_samples_that_come_again_are_measured_once_and_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownContents(kept_bytes=8 * SIZE)
    said = {"sample_rate_hz": RATE, "full_scale": 2048}
    for _ in range(5):
        for number in range(8):
            mine, fresh = known(samples(number), **said), oracle.measure(samples(number), **said)
            assert mine is not None
            assert fresh is not None
            assert mine.held.tolist() == fresh.held.tolist()
            assert (mine.first, mine.stop, mine.loudest, mine.low_hz) == (
                fresh.first, fresh.stop, fresh.loudest, fresh.low_hz)  # fmt: skip
    assert known.measured == 8
    # One other sample, not among those that they are looked up by; another rate, scale, or end: measured afresh.
    other = samples(7)
    other[1000] = (2000, -2000)
    for iq, more in (
        (other, said),
        (samples(7), {**said, "sample_rate_hz": 2 * RATE}),
        (samples(7), {**said, "full_scale": 1000}),
        (samples(7), {**said, "whole": (True, False)}),
    ):
        before = known.measured
        known(iq, **more)
        assert known.measured == before + 1
    assert known.bytes <= 8 * SIZE


def test_the_memory_of_known_samples_is_bounded() -> None:
    known = KnownContents(kept_bytes=3 * SIZE)
    for number in range(20):
        known(samples(number), sample_rate_hz=RATE, full_scale=2048)
        assert known.bytes <= 3 * SIZE
    assert len(known._held) == 3
    known(np.ones((4 * SAMPLES, 2), np.int16), sample_rate_hz=RATE, full_scale=2048)
    assert len(known._held) == 3
