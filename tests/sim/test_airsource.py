"""A station of a running air is sensed under its name."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import TypeAdapter
from typer.testing import CliRunner

from agent.cli.sense import sense
from sim.airclient import AirClient
from sim.stations import AirConfig, Hardware, Station

APP = typer.Typer()
APP.command()(sense)


@pytest.fixture
def endpoint() -> Iterator[str]:
    station = Station(name="a", lat_deg=37.0, lon_deg=-76.0, hardware=Hardware(serial="SIM-a"))
    air = AirConfig(stations=(station,), zero_ns=time.monotonic_ns())
    with tempfile.TemporaryDirectory(prefix="air") as name:
        folder = Path(name)
        where, config = f"ipc://{folder}/air", folder / "air.json"
        served = {
            "endpoint": where,
            "air": TypeAdapter(AirConfig).dump_python(air, mode="json"),
            "log": str(folder / "o"),
        }
        config.write_text(json.dumps(served))
        process = subprocess.Popen([sys.executable, "-m", "sim.airserver", str(config)])
        client = AirClient(where)
        try:
            client.wait_ready(timeout_s=60)
            yield where
        finally:
            client.close()
            process.terminate()
            process.wait(timeout=20)


@pytest.mark.feature("U1")
def test_a_station_of_an_air_is_sensed(endpoint: str) -> None:
    arguments = [f"air:{endpoint}#a", "--frequency", "3560MHz", "--rate", "2MHz", "--for", "60ms", "--json"]
    found = CliRunner().invoke(APP, arguments)
    assert found.exit_code == 0, found.stderr
    seen = json.loads(found.stdout)
    assert (seen["center_hz"], seen["sample_rate_hz"]) == (3_560_000_000, 2_000_000)
    assert seen["seconds"] == pytest.approx(0.06, abs=1e-6)
    assert seen["channels"][0]["state"] in {"free", "unknown"}
    for name, words in ((f"air:{endpoint}#b", "no station named b"), ("air:nowhere", "write it as air:ipc")):
        refused = CliRunner().invoke(APP, [name, "--for", "1s"])
        assert refused.exit_code == 1
        assert words in refused.stderr
