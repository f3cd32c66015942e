"""The control half without sockets: stamps, refusals, who waits for which answer, and the worker's memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.ports import RxFlag
from sim.air import NS, Air
from sim.airworker import Worker
from sim.control import LOOKS_MAX, AirControl, ServerConfig, ServerFailed
from sim.device import BurstSegment
from sim.oraclelog import OracleLog, read_log
from sim.stations import AirConfig, Station

pytestmark = pytest.mark.feature("R2")

RATE = 1_000_000
AIR = AirConfig(
    stations=(Station(name="a", lat_deg=0.0, lon_deg=0.0), Station(name="b", lat_deg=0.001, lon_deg=0.0)), zero_ns=0
)
TX = {"center_hz": 10**9, "sample_rate_hz": RATE, "bandwidth_hz": RATE, "attenuation_mdb": 0}
RX = {"center_hz": 10**9, "sample_rate_hz": RATE, "bandwidth_hz": RATE, "gain_mdb": 0}


@pytest.fixture
def control() -> AirControl:
    return AirControl(ServerConfig(endpoint="ipc:///x", air=AIR, log="/x", workers=2), now_ns=0)


def ask(control: AirControl, now_ns: int, payload: bytes | None = None, **header: Any) -> dict[str, Any] | None:
    return control.handle(b"me", {"id": 1, "station": "a", **header}, payload, now_ns=now_ns)


def test_a_burst_reaches_the_workers_with_its_samples_and_ends_when_it_is_over(control: AirControl) -> None:
    ask(control, 10, op="tune_tx", settings=TX)
    control.outbox.clear()
    answer = ask(control, 100, bytes(4000), op="send")
    assert answer == {"start_ns": 100, "end_ns": 1_000_100, "samples": 1000}
    ((worker, begin, payload),) = control.outbox
    assert (worker, begin["op"], len(payload)) == (None, "begin", 4000)
    control.outbox.clear()
    control.advance(now_ns=1_000_099)
    assert control.outbox == []
    control.advance(now_ns=1_000_100)
    ((_, end, _),) = control.outbox
    assert (end["op"], end["segment"]["end_ns"]) == ("end", 1_000_100)


def test_a_request_after_its_deadline_is_refused_but_a_mute_never(control: AirControl) -> None:
    ask(control, 10, op="tune_tx", settings=TX)
    for request in ({"op": "send"}, {"op": "tune_tx", "settings": TX}, {"op": "ping"}):
        late = ask(control, 100, bytes(4), deadline_ns=99, **request)
        assert late is not None
        assert late["error"] == "late"
    muted = ask(control, 100, op="mute", deadline_ns=99)
    assert muted is not None
    assert muted["rf"] == "off"


@pytest.mark.parametrize("payload", [None, b"", b"123", b"123456"])
def test_a_burst_without_whole_samples_is_refused(control: AirControl, payload: bytes | None) -> None:
    answer = ask(control, 0, payload, op="send")
    assert answer is not None
    assert answer["error"] == "refused"


def test_unknown_stations_and_requests_are_refused_by_name(control: AirControl) -> None:
    unknown = ask(control, 0, op="hello", station="z")
    assert unknown is not None
    assert "there are a, b" in unknown["message"]
    other = ask(control, 0, op="fly")
    assert other is not None
    assert other["error"] == "unknown"


def test_looks_are_spread_flagged_and_bounded(control: AirControl) -> None:
    ask(control, 0, op="tune_rx", settings=RX)
    ask(control, 0, op="tune_tx", settings=TX)
    ask(control, 0, bytes(4000), op="send")
    control.outbox.clear()
    future = ask(control, 999_999, op="look", start_ns=0, samples=1000)
    assert future is not None
    assert future["error"] == "refused"
    old = ask(control, 20 * NS, op="look", start_ns=0, samples=1000)
    assert old is not None
    assert old["error"] == "refused"
    for _ in range(LOOKS_MAX):
        assert ask(control, NS, op="look", start_ns=500_000, samples=1000) is None
    looks = list(control.outbox)
    assert sorted({worker for worker, _, _ in looks}) == [0, 1]
    busy = ask(control, NS, op="look", start_ns=500_000, samples=1000)
    assert busy is not None
    assert busy["error"] == "busy"
    worker, look, _ = looks[0]
    answer = {"op": "look", "look": look["look"], "earliest_ns": 1, "latest_ns": 2, "full_scale": 3, "flags": 1}
    found = control.answered(worker, answer)
    assert found is not None
    identity, header = found
    assert identity == b"me"
    assert RxFlag(header["flags"]) == RxFlag.OWN_TX | RxFlag.CLIPPED
    assert ask(control, NS, op="look", start_ns=500_000, samples=1000) is None


def test_a_look_from_before_the_last_tuning_is_stale(control: AirControl) -> None:
    ask(control, 100, op="tune_rx", settings=RX)
    ask(control, NS, op="look", start_ns=99, samples=1000)
    worker, look, _ = control.outbox[-1]
    answer = {"op": "look", "look": look["look"], "earliest_ns": 1, "latest_ns": 2, "full_scale": 3, "flags": 0}
    found = control.answered(worker, answer)
    assert found is not None
    assert RxFlag(found[1]["flags"]) is RxFlag.STALE


def test_a_worker_that_cannot_begin_stops_the_air(control: AirControl) -> None:
    with pytest.raises(ServerFailed, match="no such file"):
        control.answered(0, {"op": "failed", "message": "x.sigmf-meta: no such file; check the path"})


def segment(number: int) -> dict[str, Any]:
    made = BurstSegment(
        id=number, station="a", burst=number, first_sample=0, samples=1000, start_ns=number * 10**6,
        end_ns=(number + 1) * 10**6, center_hz=10**9, sample_rate_hz=RATE, attenuation_mdb=0, live=True,
    )  # fmt: skip
    return {name: getattr(made, name) for name in BurstSegment.__slots__}


def test_a_workers_memory_stays_flat_and_its_log_complete(tmp_path: Path) -> None:
    log = OracleLog(tmp_path / "log.json", zero_ns=0)
    worker = Worker(Air(AIR), AIR, history_ns=50_000_000, floor_dbm=-40, log=log)
    samples = memoryview(np.full((1000, 2), 1000, dtype=np.int16).tobytes())
    held = []
    for number in range(1000):
        worker.take({"op": "begin", "segment": segment(number)}, samples)
        worker.take({"op": "end", "segment": segment(number)}, None)
        while not worker.idle:
            worker.step()
        worker.tidy(now_ns=number * 10**6)
        held.append((len(worker._segments), len(worker._iq), len(worker._backlog)))
    # 50 ms of history, 50 ms until it is tidied, and samples that nobody wanted for one tidying more.
    assert max(max(sizes) for sizes in held) <= 160
    worker.take({"op": "dump", "dump": 1, "now_ns": 10**9}, None)
    assert worker.step() == ({"op": "dumped", "dump": 1}, None)
    assert len(read_log(tmp_path / "log.json")) == 1000
    worker.close()
