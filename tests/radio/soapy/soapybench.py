"""A simulated air for SoapySDR: the tests' own module, built once, and the queries that tests make."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from hw_profiles.loader import load_radio
from radio.drivers.soapy.radio import SoapyRadio
from sim.airclient import AirClient
from sim.oracle import RadiatedBurst
from sim.oraclelog import read_log
from sim.stations import AirConfig, Hardware, Station
from tests.agent.realparts import environment
from tests.radio.soapy.airbridge import Bridge

HERE = Path(__file__).parent
PROFILE = HERE / "bandpact-air.toml"
MODULES = "SOAPY_SDR_PLUGIN_PATH"
NEEDED = "libsoapysdr-dev g++ python3-soapysdr soapysdr-tools soapyremote-server"


def needs_soapy(*programs: str) -> None:
    """Skip the test without SoapySDR and a compiler, or fail where they are required."""
    env = environment()
    missing = [one for one in ("g++", *programs) if shutil.which(one, path=env["PATH"]) is None]
    missing += [one for one in ("/usr/include/SoapySDR/Device.hpp",) if not Path(one).exists()]
    missing += [] if Path("/usr/lib/python3/dist-packages/SoapySDR.py").exists() else ["SoapySDR.py"]
    if missing:
        message = f"{', '.join(missing)} not here; run apt-get install {NEEDED}"
        if os.environ.get("BANDPACT_REAL_PARTS") == "required":
            pytest.fail(message)
        pytest.skip(message)


@functools.cache
def module() -> Path:
    """The folder of the built module, which stays for the whole test run."""
    folder = Path(tempfile.mkdtemp(prefix="soapy"))
    command = ["g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    source = str(HERE / "airmodule.cpp")
    subprocess.run([*command, source, "-o", str(folder / "libairmodule.so"), "-lSoapySDR"], check=True, timeout=100)
    return folder


class SoapyBench:
    """One station `s` on an air of its own."""

    def __init__(self, folder: Path) -> None:
        hardware = Hardware(serial="SIM-s", tx_full_dbm=20.0, isolation_db=40.0, lo_leakage_db=-20.0)
        station = Station(name="s", lat_deg=37.0, lon_deg=-76.0, hardware=hardware)
        air = AirConfig(stations=(station,), zero_ns=time.monotonic_ns())
        self.endpoint, self._log = f"ipc://{folder}/air", folder / "oracle.json"
        config = folder / "air.json"
        served = {
            "endpoint": self.endpoint, "log": str(self._log),
            "air": TypeAdapter(AirConfig).dump_python(air, mode="json"),
        }  # fmt: skip
        config.write_text(json.dumps(served))
        self._process = subprocess.Popen([sys.executable, "-m", "sim.airserver", str(config)])
        self.client = AirClient(self.endpoint)
        try:
            self.client.wait_ready(timeout_s=60)
        except BaseException:
            self.close()
            raise
        self.bridge = Bridge(self.endpoint, folder / "soapy")
        self.arguments = f"driver=bandpact_air,socket={self.bridge.path},station=s"
        self.profile = load_radio(str(PROFILE))

    def radio(self) -> SoapyRadio:
        return SoapyRadio(self.arguments, profile=self.profile)

    def emissions(self) -> list[RadiatedBurst]:
        self.client.dump()
        return read_log(self._log)

    def radiates(self) -> bool:
        return bool(self.client.state()["radios"]["s"]["rf"] == "on")

    def close(self) -> None:
        if hasattr(self, "bridge"):
            self.bridge.close()
        self.client.close()
        self._process.terminate()
        self._process.wait(timeout=20)


@contextmanager
def soapy_bench() -> Iterator[SoapyBench]:
    needs_soapy()
    folder = Path(tempfile.mkdtemp(prefix="sb"))
    before = os.environ.get(MODULES)
    os.environ[MODULES] = str(module())
    made = SoapyBench(folder)
    try:
        yield made
    finally:
        made.close()
        if before is None:
            del os.environ[MODULES]
        else:
            os.environ[MODULES] = before
        shutil.rmtree(folder)
