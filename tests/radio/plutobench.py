"""A simulated Pluto on its own air with an oracle, and the queries that tests make."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.drivers.pluto.layout import PlutoOptions
from radio.drivers.pluto.libiio import binding
from radio.drivers.pluto.radio import PlutoRadio
from radio.errors import LibraryMissing
from radio.ports import RxSettings, TxSettings
from sim.iiod.antenna import LocalAir
from sim.iiod.context import Firmware
from sim.iiod.host import Hosted
from sim.iiod.pluto import Pluto
from sim.iiod.server import IiodServer
from sim.oracle import RadiatedBurst
from sim.stations import AirConfig, Hardware, Station

RATE = 1_920_000
RX = RxSettings(center_hz=3_555_000_000, sample_rate_hz=RATE, bandwidth_hz=1_500_000, gain_mdb=60_000)
TX = TxSettings(center_hz=3_555_000_000, sample_rate_hz=RATE, bandwidth_hz=1_500_000, attenuation_mdb=10_000)
BURST_TX = TX
SHORT = PlutoOptions(timeout_ms=300, mute_timeout_ms=300, burst_samples=262_144)
NOISE = np.random.default_rng(1).normal(0, 2000, (RATE, 2)).astype(np.int16)


def needs_libiio() -> None:
    """Skip the test without libiio, or fail where it is required."""
    try:
        binding("iio")
        binding("adi")
    except LibraryMissing as exc:
        if os.environ.get("BANDPACT_REAL_PARTS") == "required":
            pytest.fail(str(exc))
        pytest.skip(str(exc))


class Bench:
    """One simulated Pluto with its server in a thread, its air and oracle."""

    def __init__(self, folder: Path, **server: Any) -> None:
        firmware, quiet = server.pop("firmware", Firmware(serial="SIM-p")), server.pop("quiet", False)
        # High leakage: the oracle sees an oscillator left on at any attenuation but the highest.
        hardware = Hardware(serial="SIM-p", lo_leakage_db=-20.0, isolation_db=40.0)
        station = Station(name="p", lat_deg=37.0, lon_deg=-76.0, hardware=hardware)
        self.air = LocalAir(AirConfig(stations=(station,), zero_ns=time.monotonic_ns()), folder / "oracle.json")
        antenna = self.air.antenna("p")
        self.server = IiodServer(Pluto(firmware, antenna, quiet=quiet), antenna, **server)
        self.hosted = Hosted(self.server)
        self.radios: list[PlutoRadio] = []

    @property
    def uri(self) -> str:
        return self.hosted.uri

    def radio(self, **more: Any) -> PlutoRadio:
        self.radios.append(PlutoRadio(self.uri, options=SHORT, **more))
        return self.radios[-1]

    def after(self, at_ns: int) -> list[RadiatedBurst]:
        """The emissions after an instant, as the oracle recorded them."""
        return [one for one in self.air.emissions() if one.end_ns > at_ns]

    def radiates(self) -> bool:
        """Whether the antenna radiates now, as the oracle sees it."""
        now_ns = time.monotonic_ns()
        return bool(self.after(now_ns))

    def close(self) -> None:
        for radio in self.radios:
            radio._closing.set()
            radio._control = None
            radio._close_transmit()
            radio._silencer.close()
        self.hosted.stop()
        self.air.close()


@contextmanager
def bench(**server: Any) -> Iterator[Bench]:
    needs_libiio()
    folder = Path(tempfile.mkdtemp(prefix="plu"))
    made = Bench(folder, **server)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)
