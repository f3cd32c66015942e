"""`sense`, `record` and `calibrate` on a simulated Pluto, through the real libiio."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sigmf
import typer
from typer.testing import CliRunner, Result

from agent.cli.calibrate import calibrate
from agent.cli.record import record
from agent.cli.sense import sense
from agent.sense.receivers import open_receiver
from radio.drivers.registry import DRIVERS
from radio.errors import SourceError
from radio.ports import RfState, RxSettings
from sim.iiod.antenna import LoopAntenna
from sim.iiod.context import Firmware
from sim.iiod.host import Hosted
from sim.iiod.pluto import Pluto
from sim.iiod.server import IiodServer
from tests.radio.plutobench import needs_libiio

APP = typer.Typer()
APP.command()(calibrate)
APP.command()(record)
APP.command()(sense)
RATE = 2_000_000


class GainAntenna(LoopAntenna):
    """The loop as loud as it is at 30 dB of gain, louder and quieter with more and less."""

    def __init__(self, loop: bytes) -> None:
        super().__init__(loop)
        self._gain = 1.0

    def receiver(self, settings: RxSettings) -> None:
        super().receiver(settings)
        self._gain = 10 ** ((settings.gain_mdb / 1000 - 30) / 20)

    def look(self, start_ns: int, samples: int) -> memoryview:
        given = np.frombuffer(super().look(start_ns, samples), "<i2") * self._gain
        return memoryview(np.clip(np.rint(given), -2048, 2047).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def device() -> Iterator[tuple[str, Pluto]]:
    """A Pluto whose antenna gives noise and a tone 300 kHz above its middle, over and over."""
    needs_libiio()
    t = np.arange(1 << 20) / RATE
    rng = np.random.default_rng(5)
    tone = 400 * np.exp(2j * np.pi * round(0.3e6 * (1 << 20) / RATE) * RATE / (1 << 20) * t)
    z = tone + rng.normal(0, 4, 1 << 20) + 1j * rng.normal(0, 4, 1 << 20)
    loop = np.rint(np.stack([z.real, z.imag], axis=1)).astype("<i2").tobytes()
    antenna = GainAntenna(loop)
    pluto = Pluto(Firmware(serial="SIM-77"), antenna, quiet=False)
    hosted = Hosted(IiodServer(pluto, antenna, paced=False))
    yield hosted.uri, pluto
    hosted.stop()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


def only_the_tone(seen: dict[str, Any]) -> None:
    """Its channel is full, the one furthest from it is not: a host under load loses samples, which splatters."""
    share = {c["low_hz"]: c["occupancy"]["value"] for c in seen["channels"]}
    assert share[3_560_200_000] > 0.9
    assert share[3_559_200_000] < 0.5


TUNED = ("--frequency", "3560MHz", "--rate", "2MHz", "--bandwidth", "1.6MHz", "--gain-db", "30")


@pytest.mark.feature("U2")
def test_a_pluto_is_sensed_and_stays_silent(device: tuple[str, Pluto]) -> None:
    uri, _ = device
    found = run("sense", f"pluto:{uri}", *TUNED, "--for", "60ms", "--channel-width", "200kHz", "--json")
    assert found.exit_code == 0, found.stderr
    seen = json.loads(found.stdout)
    assert (seen["center_hz"], seen["sample_rate_hz"], seen["bandwidth_hz"], seen["gain_db"]) == (
        3_560_000_000, 2_000_000, 1_600_000, 30.0,
    )  # fmt: skip
    only_the_tone(seen)
    opened = open_receiver(f"pluto:{uri}")
    assert opened.receiver.rf_state() is RfState.OFF  # type: ignore[attr-defined]
    opened.close()


@pytest.mark.feature("R4")
def test_a_pluto_is_recorded_with_its_setting_and_its_name(device: tuple[str, Pluto], tmp_path: Path) -> None:
    uri, _ = device
    done = run(
        "record", f"pluto:{uri}", str(tmp_path / "air"), *TUNED, "--for", "60ms", "--place", "52.5,13.4", "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == 120_000
    found = sigmf.sigmffile.fromfile(str(tmp_path / "air.sigmf-meta"))
    found.validate()
    assert found.get_global_info()["core:hw"] == "pluto SIM-77"
    first = found.get_captures()[0]
    assert (first["core:frequency"], first["bandpact:gain_db"]) == (3.56e9, 30.0)
    assert first["core:datetime"]
    again = run("sense", f"file:{tmp_path / 'air.sigmf-meta'}", "--channel-width", "200kHz", "--json")
    only_the_tone(json.loads(again.stdout))


@pytest.mark.feature("U2")
def test_a_pluto_is_calibrated_by_a_tone(device: tuple[str, Pluto], tmp_path: Path) -> None:
    uri, _ = device
    table = tmp_path / "unit.toml"
    setting = ("--frequency", "3560MHz", "--rate", "2MHz", "--bandwidth", "1.6MHz", "--gain-db", "30")
    done = run("calibrate", f"pluto:{uri}", str(table), "--power-dbm", "-40", "--uncertainty-db", "0.5", *setting)
    assert done.exit_code == 0, done.stderr
    assert "of pluto SIM-77" in done.stdout
    level = 20 * np.log10(400 / 2048)
    assert f"full scale is {-40 - level:.1f}"[:-1] in done.stdout
    seen = run("sense", f"pluto:{uri}", *TUNED, "--for", "40ms", "--calibration", str(table), "--json")
    assert seen.exit_code == 0, seen.stderr
    assert json.loads(seen.stdout)["channels"][0]["noise_floor"]["unit"] == "dBm/Hz"


@pytest.mark.feature("U2")
def test_what_cannot_be_opened_or_tuned_is_said(device: tuple[str, Pluto]) -> None:
    uri, _ = device
    for arguments, code, words in (
        ((f"pluto:{uri}",), 1, "is tuned to nothing"),
        ((f"pluto:{uri}", "100-102MHz"), 1, "center_hz"),
        (("pluto:ip:127.0.0.1:9", "3550-3552MHz"), 4, "127.0.0.1"),
    ):
        found = run("sense", *arguments)
        assert found.exit_code == code, found.stderr
        assert words in found.stderr
        assert len(found.stderr.strip().splitlines()) == 1


def test_every_driver_that_is_named_can_be_loaded() -> None:
    for name, section in DRIVERS.items():
        assert callable(section.open_receiver)
        assert section.written.startswith(f"{name}:")
    with pytest.raises(SourceError, match="is not understood"):
        open_receiver("radio:7")
