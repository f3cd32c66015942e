"""`bandpact calibrate`: a point of a unit's table from a source of known power."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import Exit, fail, output_console, print_json


def calibrate(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="pluto:URI or sim:, listening to a known tone")],
    table: Annotated[Path, typer.Argument(metavar="TABLE.toml", help="the unit's table; made if it is not there")],
    power_dbm: Annotated[float, typer.Option(help="what the source puts into the antenna connector")],
    uncertainty_db: Annotated[float, typer.Option(min=0.0, help="standard uncertainty of that")],
    frequency: Annotated[str, typer.Option(help="where to tune, like 3560MHz; the tone beside the middle")],
    rate: Annotated[int, typer.Option(min=1, help="samples a second")],
    gain_db: Annotated[float, typer.Option(help="receive gain")],
    bandwidth: Annotated[str | None, typer.Option(help="analogue bandwidth, like 20MHz; default: the rate")] = None,
    profile: Annotated[str, typer.Option(help="the hardware profile, by name or file")] = "pluto-ad9363",
    device: Annotated[str | None, typer.Option(help="the unit, where it does not name itself")] = None,
    temperature_c: Annotated[float, typer.Option(help="the unit's temperature")] = 25.0,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Measure a tone of known power with SOURCE and add the point to TABLE, with its uncertainty."""
    from agent.calibrating import NotCalibrated, Setting, Unit  # noqa: PLC0415 - keeps --help fast
    from agent.calibrating import calibrate as run  # noqa: PLC0415
    from agent.cli.sense import explained  # noqa: PLC0415
    from agent.sense.bands import parse_frequency  # noqa: PLC0415
    from hw_profiles.loader import ProfileError  # noqa: PLC0415
    from radio.knownsource import Known  # noqa: PLC0415

    with explained():
        setting = Setting(
            frequency_hz=round(parse_frequency(frequency)),
            sample_rate_hz=rate,
            bandwidth_hz=round(parse_frequency(bandwidth)) if bandwidth else rate,
            gain_db=gain_db,
        )
        unit = Unit(device=device, profile=profile, temperature_c=temperature_c)
        try:
            made, found = run(source, setting, Known(power_dbm=power_dbm, sd_db=uncertainty_db), unit, table)
        except ProfileError as exc:
            fail(str(exc), Exit.USAGE)
        except NotCalibrated as exc:
            fail(str(exc), Exit.FAILURE)
    if json_out:
        print_json({"table": str(table), "device": made.device, "point": found.model_dump()})
        return
    output_console().print(
        f"{table}: full scale is {found.full_scale_dbm:.2f} ± {found.sd_db:.2f} dBm "
        f"at {found.frequency_hz / 1e6:g} MHz, "
        f"{found.sample_rate_hz} S/s, {found.gain_db:g} dB; {len(made.points)} points of {made.device}",
        highlight=False,
    )
