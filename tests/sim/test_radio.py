"""Tests of the simulated radio on a real air process, beyond those of the port contract."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from radio.errors import Disconnected, HardwareError, ReceiveTimeout, SourceError
from radio.ports import Iq16, Radio, RfState, RxFlag, RxSettings, TxSettings
from sim.airclient import AirClient
from sim.oracle import RadiatedBurst
from sim.oraclelog import read_log
from sim.radio import SimRadio
from sim.stations import AirConfig, Emitter, Hardware, Station

pytestmark = [pytest.mark.feature("R2"), pytest.mark.timeout(60)]

RATE = 1_920_000
RX = RxSettings(center_hz=3_555_000_000, sample_rate_hz=RATE, bandwidth_hz=1_500_000, gain_mdb=60_000)
TX = TxSettings(center_hz=3_555_000_000, sample_rate_hz=RATE, bandwidth_hz=1_500_000, attenuation_mdb=10_000)
NOISE = np.random.default_rng(1).normal(0, 2000, (RATE, 2)).astype(np.int16)


def burst(duration_s: float) -> Iq16:
    return NOISE[: round(duration_s * RATE)]


@dataclass(frozen=True)
class RunningAir:
    endpoint: str
    log: Path
    process: subprocess.Popen[bytes]
    client: AirClient

    def dumped(self) -> list[RadiatedBurst]:
        self.client.dump()
        return read_log(self.log)

    def bursts(self, radio: str) -> list[RadiatedBurst]:
        return [one for one in self.dumped() if one.kind == "burst" and one.radio == radio]

    def when_quiet(self, radio: str) -> None:
        """Return once the radio's queue has run out; bounded by the test's timeout."""
        while self.client.state()["radios"][radio]["busy_until_ns"] is not None:
            select.select([], [], [], 0.01)


def stations() -> tuple[Station, ...]:
    quick = Hardware(tx_full_dbm=20.0, isolation_db=40.0)
    return tuple(
        Station(name=name, lat_deg=37.0 + away, lon_deg=-76.0, hardware=replace(quick, serial=f"SIM-{name}"))
        for name, away in (("a", 0.0), ("b", 0.001), ("c", 0.002))
    )


def configured(folder: Path, **more: Any) -> Path:
    air = AirConfig(stations=stations(), zero_ns=time.monotonic_ns(), emitters=more.pop("emitters", ()))
    config = {
        "endpoint": f"ipc://{folder}/air",
        "air": TypeAdapter(AirConfig).dump_python(air, mode="json"),
        "log": str(folder / "oracle.json"),
        **more,
    }
    path = folder / "air.json"
    path.write_text(json.dumps(config))
    return path


def started(folder: Path, *, processes: list[subprocess.Popen[bytes]] | None = None, **more: Any) -> RunningAir:
    process = subprocess.Popen([sys.executable, "-m", "sim.airserver", str(configured(folder, **more))])
    if processes is not None:
        processes.append(process)
    client = AirClient(f"ipc://{folder}/air")
    made = RunningAir(endpoint=f"ipc://{folder}/air", log=folder / "oracle.json", process=process, client=client)
    try:
        client.wait_ready(timeout_s=30)
    except BaseException:
        stopped(made)
        raise
    return made


def stopped(air: RunningAir) -> int:
    air.client.close()
    air.process.send_signal(signal.SIGCONT)
    air.process.terminate()
    return air.process.wait(timeout=20)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="air"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., RunningAir]]:
    """Starts an air of the test's own; whatever the test's end, no process is left."""
    processes: list[subprocess.Popen[bytes]] = []
    yield lambda **more: started(folder, processes=processes, **more)
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def air() -> Iterator[RunningAir]:
    path = Path(tempfile.mkdtemp(prefix="air"))
    running = started(path)
    yield running
    assert stopped(running) == 0
    assert sorted(one.name for one in path.iterdir()) == ["air.json", "oracle.json"]
    shutil.rmtree(path)


@pytest.fixture
def opened(air: RunningAir) -> Iterator[Callable[[str], SimRadio]]:
    radios: list[SimRadio] = []

    def make(name: str) -> SimRadio:
        radios.append(SimRadio(air.endpoint, name))
        return radios[-1]

    yield make
    for radio in radios:
        radio.close()


@pytest.fixture
def radio(opened: Callable[[str], SimRadio]) -> Radio:
    return opened("a")


def test_bursts_follow_one_another_to_the_nanosecond(opened: Callable[[str], SimRadio]) -> None:
    radio = opened("a")
    radio.tune_tx(TX)
    first, second = radio.send(burst(0.5)), radio.send(burst(0.5))
    assert second.start.earliest_ns - first.start.earliest_ns == 500_000_000
    radio.mute()


def test_the_device_has_an_identity_of_its_own(opened: Callable[[str], SimRadio]) -> None:
    assert opened("a").device_id == "bandpact-sim SIM-a"
    assert opened("a").device_id != opened("b").device_id


def test_own_transmission_and_clipping_are_flagged(opened: Callable[[str], SimRadio]) -> None:
    radio = opened("a")
    radio.tune_rx(RX)
    assert radio.receive(1000).flags is RxFlag.NONE
    radio.tune_tx(TX)
    radio.send(burst(0.5))
    assert radio.receive(1000).flags == RxFlag.OWN_TX | RxFlag.CLIPPED
    radio.mute()
    assert radio.receive(1000).flags is RxFlag.NONE


def test_a_burst_is_heard_next_door_and_known_to_the_oracle(air: RunningAir, opened: Callable[[str], SimRadio]) -> None:
    sender, listener = opened("a"), opened("b")
    listener.tune_rx(RX)
    quiet = float(np.mean(listener.receive(19_200).iq.astype(float) ** 2))
    sender.tune_tx(TX)
    sent = sender.send(burst(0.2))
    assert float(np.mean(listener.receive(19_200).iq.astype(float) ** 2)) > 10 * quiet
    air.when_quiet("a")
    found = [one for one in air.bursts("a") if one.start_ns == sent.start.earliest_ns]
    (one,) = found
    assert one.end_ns - one.start_ns == pytest.approx(200_000_000, abs=1000)
    assert one.eirp_dbm == pytest.approx(20 - 10 + 20 * np.log10(2000 * np.sqrt(2) / 16_384), abs=0.05)
    assert one.high_hz - one.low_hz == pytest.approx(0.99 * RATE, rel=0.01)
    assert not one.cut_short
    assert float(np.mean(listener.receive(19_200).iq.astype(float) ** 2)) < 1.5 * quiet


@pytest.mark.feature("R9")
def test_mute_cuts_the_burst_that_plays_and_drops_the_queue(air: RunningAir, opened: Callable[[str], SimRadio]) -> None:
    radio = opened("a")
    radio.tune_tx(TX)
    first = radio.send(burst(1.0))
    radio.send(burst(1.0))
    before_ns = time.monotonic_ns()
    assert radio.mute() is RfState.OFF
    after_ns = time.monotonic_ns()
    (cut,) = [one for one in air.bursts("a") if one.start_ns >= first.start.earliest_ns]
    assert cut.cut_short
    assert before_ns - 1000 <= cut.end_ns <= after_ns
    assert air.client.state()["radios"]["a"]["busy_until_ns"] is None


def test_without_its_oscillator_a_burst_plays_to_nowhere(air: RunningAir, opened: Callable[[str], SimRadio]) -> None:
    radio = opened("c")
    radio.tune_tx(TX)
    radio.mute()
    sent = radio.send(burst(0.01))
    air.when_quiet("c")
    assert not [one for one in air.dumped() if one.radio == "c" and one.end_ns > sent.start.earliest_ns]


def test_the_leaking_oscillator_is_logged_while_it_is_on(air: RunningAir, opened: Callable[[str], SimRadio]) -> None:
    radio = opened("c")
    begun_ns = time.monotonic_ns()
    radio.tune_tx(replace(TX, attenuation_mdb=0))
    leaks = [one for one in air.dumped() if one.kind == "lo_leakage" and one.start_ns >= begun_ns]
    assert [(one.radio, one.eirp_dbm, one.center_hz) for one in leaks] == [("c", -30.0, TX.center_hz)]
    radio.tune_tx(replace(TX, attenuation_mdb=40_000))
    radio.mute()
    (leak,) = [one for one in air.dumped() if one.kind == "lo_leakage" and one.start_ns >= begun_ns]
    assert leak.start_ns < leak.end_ns < time.monotonic_ns()


CLIENT = """
import os, signal, sys
import numpy as np
from radio.ports import TxSettings
from sim.radio import SimRadio
radio = SimRadio(sys.argv[1], "b")
radio.tune_tx(TxSettings(center_hz=3555000000, sample_rate_hz=1920000, bandwidth_hz=1500000, attenuation_mdb=10000))
iq = np.full((192000, 2), 3000, dtype=np.int16)
radio.send(iq)
radio.send(iq)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_client_queued_plays_out_and_nothing_more(
    air: RunningAir, opened: Callable[[str], SimRadio]
) -> None:
    begun_ns = time.monotonic_ns()
    killed = subprocess.run([sys.executable, "-c", CLIENT, air.endpoint], check=False, timeout=30)
    assert killed.returncode == -signal.SIGKILL
    air.when_quiet("b")
    played = [one for one in air.bursts("b") if one.start_ns > begun_ns]
    assert [one.cut_short for one in played] == [False, False]
    assert played[1].end_ns - played[0].start_ns == pytest.approx(200_000_000, abs=1000)
    radio = opened("b")
    assert radio.rf_state() is RfState.ON
    radio.tune_rx(RX)
    assert RxFlag.OWN_TX not in radio.receive(1000).flags


def test_the_air_answers_while_a_look_is_computed(air: RunningAir, opened: Callable[[str], SimRadio]) -> None:
    radio, other = SimRadio(air.endpoint, "a", timeout_ms=20_000), opened("b")
    fast = replace(RX, sample_rate_hz=61_440_000, bandwidth_hz=40_000_000)
    radio.tune_rx(fast)
    other.tune_tx(TX)
    done: list[int] = []
    answered: list[int] = []
    # Computing it takes longer than the span itself.
    thread = threading.Thread(target=lambda: (radio.receive(6_000_000), done.append(time.monotonic_ns())))
    begun_ns = time.monotonic_ns()
    thread.start()
    while thread.is_alive():
        other.rf_state()
        answered.append(time.monotonic_ns())
    thread.join()
    radio.close()
    span_over_ns = begun_ns + 6_000_000 * 10**9 // 61_440_000
    during = [at for at in answered if span_over_ns < at < done[0]]
    assert len(during) > 20


def test_an_absent_air_and_an_unknown_station_are_reported(air: RunningAir, folder: Path) -> None:
    with pytest.raises(Disconnected, match="is the air running"):
        SimRadio(f"ipc://{folder}/nothing", "a", timeout_ms=100)
    with pytest.raises(SourceError, match="no station named z; there are a, b, c"):
        SimRadio(air.endpoint, "z")


def test_a_stopped_air_times_out_and_what_came_too_late_is_not_done(start: Callable[..., RunningAir]) -> None:
    air = start()
    radio = SimRadio(air.endpoint, "a", timeout_ms=150)
    radio.tune_tx(TX)
    radio.tune_rx(RX)
    air.process.send_signal(signal.SIGSTOP)
    for attempt in (lambda: radio.send(burst(0.01)), lambda: radio.tune_tx(TX), radio.mute, radio.rf_state):
        with pytest.raises(HardwareError):
            attempt()
    with pytest.raises(ReceiveTimeout):
        radio.receive(100)
    air.process.send_signal(signal.SIGCONT)
    assert radio.rf_state() is RfState.OFF  # the mute was carried out late, the burst and the tuning were not
    assert air.bursts("a") == []
    radio.close()
    assert stopped(air) == 0


def test_closing_ends_a_receive_that_waits(opened: Callable[[str], SimRadio]) -> None:
    radio = opened("a")
    radio.tune_rx(replace(RX, sample_rate_hz=600_000, bandwidth_hz=600_000))
    failed: list[HardwareError] = []
    begun = threading.Event()

    def receive() -> None:
        begun.set()
        try:
            radio.receive(16_000_000)
        except HardwareError as exc:
            failed.append(exc)

    thread = threading.Thread(target=receive)
    thread.start()
    begun.wait()
    radio.close()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert len(failed) == 1


def test_several_workers_share_the_looks(folder: Path, start: Callable[..., RunningAir]) -> None:
    air = start(workers=2)
    radios = [SimRadio(air.endpoint, name) for name in ("a", "b", "c")]
    for radio in radios:
        radio.tune_rx(RX)
        assert radio.receive(1000).flags is RxFlag.NONE
        radio.close()
    assert stopped(air) == 0
    assert sorted(one.name for one in folder.iterdir()) == ["air.json", "oracle.json"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_the_burst_cut_in_the_log(
    folder: Path, start: Callable[..., RunningAir], number: signal.Signals
) -> None:
    air = start()
    radio = SimRadio(air.endpoint, "a", timeout_ms=200)
    radio.tune_tx(TX)
    radio.send(burst(1.0))
    air.process.send_signal(number)
    assert air.process.wait(timeout=20) == 0
    air.client.close()
    with pytest.raises(HardwareError):
        radio.close()
    (cut,) = [one for one in read_log(air.log) if one.kind == "burst"]
    assert cut.cut_short
    assert sorted(one.name for one in folder.iterdir()) == ["air.json", "oracle.json"]


PARENT = """
import os, signal, subprocess, sys
from sim.airclient import AirClient
child = subprocess.Popen([sys.executable, "-m", "sim.airserver", sys.argv[1]])
AirClient(sys.argv[2]).wait_ready(timeout_s=30)
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_death_of_its_parent_ends_it_in_order(folder: Path) -> None:
    config = configured(folder)
    parent = subprocess.run(
        [sys.executable, "-c", PARENT, str(config), f"ipc://{folder}/air"], capture_output=True, check=False, timeout=30
    )
    assert parent.returncode == -signal.SIGKILL
    try:
        watch = os.pidfd_open(int(parent.stdout))
    except ProcessLookupError:
        watch = None
    if watch is not None:
        readable, _, _ = select.select([watch], [], [], 20)
        os.close(watch)
        assert readable
    assert sorted(one.name for one in folder.iterdir()) == ["air.json", "oracle.json"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sim.airserver", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"endpoint": "tcp://127.0.0.1:1"}, "endpoint: tcp://127.0.0.1:1: not an ipc"),
        ({"endpoint": "ipc:///" + "x" * 120}, "shorter folder"),
        ({"workers": 0}, "workers"),
        ({"histroy_s": 1.0}, "did you mean history_s?"),
        ({"log": None}, "log"),
    ],
)
def test_a_bad_configuration_gets_one_line_and_code_2(folder: Path, changes: dict[str, Any], named: str) -> None:
    result = run(str(configured(folder, **changes)))
    assert result.returncode == 2
    assert named in result.stderr
    assert result.stderr.count("\n") == 1
    assert str(folder) in result.stderr


def test_no_configuration_at_all_gets_one_line_and_code_2(folder: Path) -> None:
    for result in (run(), run(str(folder / "none.json")), run(str(folder))):
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1


def test_what_cannot_be_served_gets_one_line_and_code_1(folder: Path) -> None:
    gone = Emitter(
        name="tape", kind="recording", lat_deg=37.0, lon_deg=-76.0, eirp_dbm=0.0, center_hz=10**9,
        params={"path": str(folder / "gone.sigmf-meta")},
    )  # fmt: skip
    cases: dict[str, dict[str, Any]] = {
        "gone.sigmf-meta: no such recording": {"emitters": (gone,)},
        "folder that exists": {"endpoint": f"ipc://{folder}/no/air"},
        "oracle.json": {"log": f"{folder}/no/oracle.json"},
    }
    for number, (named, changes) in enumerate(cases.items()):
        path = folder / f"{number}.json"
        configured(folder, **changes).rename(path)
        result = run(str(path))
        assert result.returncode == 1
        assert named in result.stderr
        assert result.stderr.count("\n") == 1
        path.unlink()
    assert list(folder.iterdir()) == []


def test_a_socket_in_use_is_not_taken_over(air: RunningAir) -> None:
    folder = air.log.parent
    second = folder / "second.json"
    second.write_text((folder / "air.json").read_text())
    result = run(str(second))
    second.unlink()
    assert result.returncode == 1
    assert "exists already" in result.stderr
    SimRadio(air.endpoint, "a").close()
