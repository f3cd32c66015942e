"""Simulated Plutos on an air that runs elsewhere, as a process of its own: `python -m sim.iiod.process CONFIG.json`.

CONFIG.json: `air` (the air's ipc:// endpoint), `plutos` (a list of `station`, `serial`, `port`), and `quiet`: whether
they come up muted, as units with the dead-man of `deploy/pluto` do, or transmitting, as stock ones do. SIGUSR1 cuts the
power of all of them and gives it back.
"""

import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from hw_profiles.printable import printable
from radio.priority import before_others
from radio.process import OrphanedAtBirth, die_with_parent
from sim.checked import BadValue, checked_json
from sim.iiod.antenna import AirAntenna, AntennaRefused
from sim.iiod.context import Firmware
from sim.iiod.pluto import Pluto
from sim.iiod.server import IiodServer
from sim.stations import STRICT, Name


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedUnit:
    """One simulated Pluto: its station in the air, and its port on loopback."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    station: Name
    serial: Name
    port: Annotated[int, Field(gt=0, le=65_535)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlutosConfig:
    """The configuration of the process."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    air: str
    plutos: tuple[SimulatedUnit, ...]
    quiet: bool = False


def _power_cycle(servers: list[IiodServer]) -> None:
    for server in servers:
        server.reboot()


async def serve(config: PlutosConfig) -> None:
    """Serve until SIGTERM or SIGINT; raises OSError where a port cannot be had, AntennaRefused without an air."""
    antennas = [AirAntenna(config.air, unit.station) for unit in config.plutos]
    servers = []
    for unit, antenna in zip(config.plutos, antennas, strict=True):
        pluto = Pluto(Firmware(serial=unit.serial), antenna, quiet=config.quiet)
        server = IiodServer(pluto, antenna)
        server.listen(unit.port)
        servers.append(server)
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, _power_cycle, servers)
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for antenna in antennas:
        antenna.close()


def main(arguments: list[str]) -> int:
    """Run: 0 when stopped in order, 1 on failure, 2 on a configuration that cannot be used."""
    if len(arguments) != 1:
        print("usage: python -m sim.iiod.process CONFIG.json", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    try:
        config = checked_json(PlutosConfig, path.read_bytes())
    except (OSError, BadValue) as exc:
        print(printable(f"{path}: {exc}"), file=sys.stderr)
        return 2
    try:
        die_with_parent()
        before_others()  # a device's own logic does not wait for the host
        asyncio.run(serve(config))
    except OrphanedAtBirth:
        return 0
    except (OSError, AntennaRefused) as exc:
        print(printable(exc), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
