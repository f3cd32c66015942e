"""`bandpact sim`: simulated hardware for other programs."""

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.oracle import RadiatedBurst

app = typer.Typer(cls=Listed, no_args_is_help=True, help="Simulated hardware that other programs can connect to.")
REPORT_S = 1.0


@app.callback()
def _sim() -> None:
    """Keep `pluto` a word of its own."""


@app.command()
def pluto(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="On loopback; 0 takes any free one.")] = 30_431,
    scenario: Annotated[
        str, typer.Option(help="What is on the air: a scenario's name, or a .toml file.")
    ] = "neighbours",
    station: Annotated[
        str | None, typer.Option(help="Whose place and antenna; the scenario's first if not said.")
    ] = None,
    quiet: Annotated[bool, typer.Option(help="Come up muted, not transmitting as stock firmware does.")] = False,
    sysfs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Mirror its attributes there as files, for on-device scripts.")
    ] = None,
) -> None:
    """Serve a simulated ADALM-Pluto to any libiio client: iio_info, GNU Radio, SDRangel, our own driver.

    It hangs on the scenario's simulated air, whose second 0 is now. Says when it begins and ceases to radiate. Ctrl-C
    ends it.
    """
    from radio.errors import RadioError

    with interruptible():
        try:
            _serve(port, scenario, station, quiet=quiet, sysfs=sysfs)
        except (RadioError, OSError) as exc:
            fail(f"{exc}", Exit.NOT_READY if isinstance(exc, OSError) else Exit.USAGE)


def _serve(port: int, scenario: str, station: str | None, *, quiet: bool, sysfs: Path | None) -> None:
    from radio.process import stop_on_signals
    from sim.iiod.antenna import LocalAir
    from sim.iiod.context import Firmware
    from sim.iiod.host import Hosted
    from sim.iiod.pluto import Pluto
    from sim.iiod.server import IiodServer
    from sim.scenario import load

    loaded = load(scenario)
    node = loaded.node(station) if station is not None else loaded.nodes[0]
    air_config = loaded.air_config(zero_ns=time.monotonic_ns())
    serial = next(one.hardware.serial for one in air_config.stations if one.name == node.name)
    stop = stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="bandpact-") as folder:
        air = LocalAir(air_config, Path(folder) / "oracle.json")
        antenna = air.antenna(node.name)
        hosted = Hosted(IiodServer(Pluto(Firmware(serial=serial), antenna, quiet=quiet), antenna, sysfs=sysfs), port)
        typer.echo(f"simulated Pluto {serial} at {node.name}: {hosted.uri}; try: iio_info -u {hosted.uri}")
        _report(air.emissions, stop)
        hosted.stop()
        air.close()


def _report(emissions: "Callable[[], list[RadiatedBurst]]", stop: threading.Event) -> None:
    """Print when the antenna starts and stops to radiate, by the oracle, until told to stop."""
    radiating = False
    while not stop.wait(REPORT_S):
        now_ns = time.monotonic_ns()
        on = [one for one in emissions() if one.end_ns > now_ns]
        if bool(on) != radiating:
            radiating = bool(on)
            said = ", ".join(f"{one.kind} {one.center_hz / 1e6:g} MHz {one.eirp_dbm:g} dBm EIRP" for one in on)
            typer.echo(f"radiating: {said}" if on else "silent")
