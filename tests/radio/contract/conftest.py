"""The drivers that the contract tests run against, real hardware included when BANDPACT_PLUTO_URI is set."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from radio.drivers.pluto.radio import PlutoRadio
from radio.drivers.replay import ReplayReceiver
from radio.ports import Radio, Receiver, RxSettings, TxSettings
from radio.recording.reader import open_recording
from sim.airclient import AirClient
from sim.oracle import RadiatedBurst
from sim.oraclelog import read_log
from sim.radio import SimRadio
from sim.stations import AirConfig, Hardware, Station
from tests.radio.plutobench import RATE, RX, SHORT, TX, bench
from tests.radio.soapy.soapybench import soapy_bench

URI = "BANDPACT_PLUTO_URI"
MAY_TRANSMIT = "BANDPACT_PLUTO_TX"


@dataclass(frozen=True)
class Subject:
    """A radio to test: how to open and set it, and the oracle's record of it (None on hardware)."""

    open: Callable[[], Radio]
    emissions: Callable[[], list[RadiatedBurst]] | None
    rx: RxSettings = RX
    tx: TxSettings = TX


def _sim(folder: Path) -> Iterator[Subject]:
    hardware = Hardware(serial="SIM-a", tx_full_dbm=20.0, isolation_db=40.0)
    station = Station(name="a", lat_deg=37.0, lon_deg=-76.0, hardware=hardware)
    air = AirConfig(stations=(station,), zero_ns=time.monotonic_ns())
    endpoint, log, config = f"ipc://{folder}/air", folder / "oracle.json", folder / "air.json"
    served = {"endpoint": endpoint, "air": TypeAdapter(AirConfig).dump_python(air, mode="json"), "log": str(log)}
    config.write_text(json.dumps(served))
    process = subprocess.Popen([sys.executable, "-m", "sim.airserver", str(config)])
    client = AirClient(endpoint)

    def emissions() -> list[RadiatedBurst]:
        client.dump()
        return read_log(log)

    try:
        client.wait_ready(timeout_s=30)
        yield Subject(open=lambda: SimRadio(endpoint, "a"), emissions=emissions)
    finally:
        client.close()
        process.terminate()
        process.wait(timeout=20)


def _pluto(_folder: Path) -> Iterator[Subject]:
    with bench() as made:
        yield Subject(open=made.radio, emissions=made.air.emissions)


def _soapy(_folder: Path) -> Iterator[Subject]:
    with soapy_bench() as made:
        yield Subject(open=made.radio, emissions=made.emissions)


def _hardware(_folder: Path) -> Iterator[Subject]:
    uri = os.environ.get(URI)
    if not uri:
        pytest.skip(f"no hardware named by {URI}")
    quiet = replace(TX, center_hz=2_450_000_000, attenuation_mdb=80_000)
    rx = replace(RX, center_hz=2_450_000_000)
    yield Subject(open=lambda: PlutoRadio(uri, options=SHORT), emissions=None, rx=rx, tx=quiet)


MAKERS = {"sim": _sim, "pluto": _pluto, "soapy": _soapy, "hardware": _hardware}


@pytest.fixture(scope="module", params=sorted(MAKERS))
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    folder = Path(tempfile.mkdtemp(prefix="con"))
    yield from MAKERS[request.param](folder)
    shutil.rmtree(folder)


@pytest.fixture
def radio(subject: Subject) -> Iterator[Radio]:
    opened = subject.open()
    yield opened
    opened.close()


@pytest.fixture
def transmitter(subject: Subject, radio: Radio) -> Radio:
    if subject.emissions is None and not os.environ.get(MAY_TRANSMIT):
        pytest.skip(f"set {MAY_TRANSMIT} to let the hardware transmit into a load")
    return radio


@pytest.fixture(params=[*sorted(MAKERS), "replay"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Receiver, RxSettings]]:
    """The receiver of each driver, tuned."""
    if request.param == "replay":
        made: Receiver = ReplayReceiver(_recording(tmp_path))
        yield made, made.tune_rx(replace(RX, bandwidth_hz=RATE, gain_mdb=0))
        return
    folder = Path(tempfile.mkdtemp(prefix="con"))
    maker = MAKERS[request.param](folder)
    subject = next(maker)
    opened = subject.open()
    try:
        yield opened, opened.tune_rx(subject.rx)
    finally:
        opened.close()
        maker.close()  # type: ignore[attr-defined]
        shutil.rmtree(folder)


def _recording(folder: Path) -> "object":
    samples = np.random.default_rng(2).normal(0, 300, (60_000, 2)).astype("<i2")
    meta = folder / "one.sigmf-meta"
    about = {"core:datatype": "ci16_le", "core:sample_rate": RATE, "core:version": "1.2.6"}
    captures = [{"core:sample_start": 0, "core:frequency": RX.center_hz}]
    meta.write_text(json.dumps({"global": about, "captures": captures, "annotations": []}))
    meta.with_suffix(".sigmf-data").write_bytes(samples.tobytes())
    return open_recording(meta)
