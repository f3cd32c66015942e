"""The air's worker beside a control process that pauses: nothing that was played is lost, nothing ends the worker."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from sim.air import Air
from sim.airworker import Worker
from sim.device import BurstSegment
from sim.oraclelog import OracleLog, read_log
from sim.stations import AirConfig, Hardware, Station

NS = 10**9
RATE = 1_920_000
SAMPLES = 19_200


@pytest.mark.parametrize("pause_s", [0.5, 1.6, 30.0])
def test_a_burst_whose_end_is_told_late_is_measured_all_the_same(tmp_path: Path, pause_s: float) -> None:
    config = AirConfig(stations=(Station(name="p", lat_deg=37.0, lon_deg=-76.0, hardware=Hardware()),))
    log = tmp_path / "oracle.json"
    worker = Worker(Air(config), config, history_ns=NS, floor_dbm=-40.0, log=OracleLog(log, zero_ns=0))
    segment = BurstSegment(
        id=1,
        station="p",
        burst=7,
        first_sample=0,
        samples=SAMPLES,
        start_ns=NS,
        end_ns=NS + SAMPLES * NS // RATE,
        center_hz=3_555_000_000,
        sample_rate_hz=RATE,
        attenuation_mdb=0,
        live=True,
    )
    iq = np.full((SAMPLES, 2), 3000, np.int16)
    worker.take({"op": "begin", "segment": asdict(segment)}, memoryview(iq.tobytes()))
    now_ns = segment.end_ns
    for _ in range(int(pause_s * 10)):
        now_ns += NS // 10
        worker.tidy(now_ns=now_ns)
    later = replace(segment, id=2, first_sample=SAMPLES // 2, samples=SAMPLES // 2, start_ns=NS + 5_000_000)
    worker.take({"op": "end", "segment": asdict(replace(segment, end_ns=later.start_ns))}, None)
    worker.step()
    worker.tidy(now_ns=now_ns + NS // 10)
    worker.take({"op": "begin", "segment": asdict(later)}, None)
    worker.take({"op": "end", "segment": asdict(later)}, None)
    worker.take({"op": "dump", "dump": 1, "now_ns": now_ns}, None)
    while not worker.idle:
        worker.step()
    assert [one.kind for one in read_log(log)] == ["burst", "burst"]
    worker.tidy(now_ns=now_ns + NS)
    worker.close()


def test_what_was_ended_is_forgotten(tmp_path: Path) -> None:
    config = AirConfig(stations=(Station(name="p", lat_deg=37.0, lon_deg=-76.0, hardware=Hardware()),))
    worker = Worker(Air(config), config, history_ns=NS, floor_dbm=-40.0, log=None)
    for number in range(50):
        segment = {
            "id": number,
            "station": "p",
            "burst": number,
            "first_sample": 0,
            "samples": 100,
            "start_ns": number * NS,
            "end_ns": number * NS + 52_084,
            "center_hz": 1,
            "sample_rate_hz": RATE,
            "attenuation_mdb": 0,
            "live": True,
        }
        worker.take({"op": "begin", "segment": segment}, memoryview(bytes(400)))
        worker.take({"op": "end", "segment": segment}, None)
        worker.tidy(now_ns=(number + 1) * NS)
    assert len(worker._segments) <= 3
    assert len(worker._iq) <= 3
    assert not worker._unfinished
