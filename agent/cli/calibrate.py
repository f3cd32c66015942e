"""`bandpact calibrate`: adds a point to a unit's calibration table, from a known power or a noise diode."""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, errors_console, fail, output_console, print_json
from agent.cli.sourceoptions import SOURCE_HELP, explained

if TYPE_CHECKING:
    from agent.sense.calibration import CalibratedUnit, Setting
    from hw_profiles.calibrationfile import CalibrationFile, Point

SWITCH_S = 30


def calibrate(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP + ", hearing a tone or a noise diode")],
    table: Annotated[Path, typer.Argument(metavar="TABLE.toml", help="the unit's table; made if it is not there")],
    power_dbm: Annotated[
        float | None, typer.Option(help="a tone: its power into the antenna connector, in dBm")
    ] = None,
    uncertainty_db: Annotated[float | None, typer.Option(min=0.0, help="standard uncertainty of that, in dB")] = None,
    enr_db: Annotated[float | None, typer.Option(help="a noise diode: its excess noise ratio, in dB")] = None,
    enr_uncertainty_db: Annotated[float, typer.Option(min=0.0, help="standard uncertainty of that, in dB")] = 0.2,
    mismatch_db: Annotated[float, typer.Option(min=0.0, help="standard uncertainty by reflections, in dB")] = 0.1,
    diode: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="called with on or off; default: you are asked to switch")
    ] = None,
    off: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="the same receiver with the diode off, as a recording")
    ] = None,
    frequency: Annotated[str | None, typer.Option(help="where to tune, like 3560MHz; a tone beside the middle")] = None,
    rate: Annotated[str | None, typer.Option(help="samples a second, like 4MHz for 4 MS/s")] = None,
    gain_db: Annotated[float | None, typer.Option(help="receive gain in dB")] = None,
    bandwidth: Annotated[str | None, typer.Option(help="analogue bandwidth, like 20MHz; default: the rate")] = None,
    profile: Annotated[str, typer.Option(help="the hardware profile, by name or file")] = "pluto-ad9363",
    device: Annotated[str | None, typer.Option(help="the unit, where it does not name itself")] = None,
    temperature_c: Annotated[
        float, typer.Option(help="temperature of the unit, and of the diode when off, in °C")
    ] = 25.0,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Measure a tone of known power or a noise diode (Y-factor) with SOURCE; add the point to TABLE, how sure it is."""
    from agent.sense.bands import parse_frequency
    from agent.sense.calibration import CalibratedUnit, NotCalibrated, Setting

    if (power_dbm is None) == (enr_db is None):
        fail("give --power-dbm for a tone or --enr-db for a noise diode, one of them", Exit.USAGE)
    if power_dbm is not None and uncertainty_db is None:
        fail("--power-dbm: say how sure the power is with --uncertainty-db, such as 0.5", Exit.USAGE)
    with explained():
        rate_hz = _rate_hz(rate) if rate else None
        setting = Setting(
            frequency_hz=round(parse_frequency(frequency, "--frequency")) if frequency else None,
            sample_rate_hz=rate_hz,
            bandwidth_hz=round(parse_frequency(bandwidth, "--bandwidth")) if bandwidth else None,
            gain_db=gain_db,
        )
        unit = CalibratedUnit(device=device, profile=profile, temperature_c=temperature_c)
        try:
            if power_dbm is not None and uncertainty_db is not None:
                made, found = _tone(source, setting, power_dbm, uncertainty_db, unit, table)
            else:
                known = (enr_db or 0.0, enr_uncertainty_db, mismatch_db)
                made, found = _noise(source, off, setting, known, unit, table, diode)
        except NotCalibrated as exc:
            fail(str(exc), Exit.FAILURE)
    if json_out:
        print_json({"table": str(table), "device": made.device, "point": found.model_dump()})
        return
    _show(table, made, found)


def _rate_hz(text: str) -> int:
    """Parse a sample rate in Hz, such as 4MHz, or a bare number from a script. Raises UnitMissing."""
    from agent.words.units import UnitMissing, is_count, parse_hz

    rate_hz = int(text) if is_count(text) else parse_hz(text, "--rate")
    if not rate_hz:
        raise UnitMissing(f"--rate {text!r}: give one above 0, such as 4MHz")
    return rate_hz


def _tone(
    source: str, setting: "Setting", power_dbm: float, sd_db: float, unit: "CalibratedUnit", table: Path
) -> "tuple[CalibrationFile, Point]":
    from agent.sense.calibration import calibrate as run
    from radio.knownsource import Known

    return run(source, setting, Known(power_dbm=power_dbm, sd_db=sd_db), unit, table)


def _noise(
    source: str,
    off: str | None,
    setting: "Setting",
    known: tuple[float, float, float],
    unit: "CalibratedUnit",
    table: Path,
    command: str | None,
) -> "tuple[CalibrationFile, Point]":
    from agent.sense.calibration import calibrate_by_diode, calibrate_by_recordings
    from radio.noisediode import Diode

    diode = Diode(enr_db=known[0], enr_sd_db=known[1], mismatch_sd_db=known[2], temperature_c=unit.temperature_c)
    if off is not None:
        return calibrate_by_recordings((source, off), setting, diode, unit, table)
    return calibrate_by_diode(source, setting, diode, unit, table, switch=_switch(command))


def _switch(command: str | None) -> Callable[[bool], None]:
    """Return the function that switches the noise diode: by a command, or by asking the person at the terminal."""
    if command is None and not errors_console().is_terminal:
        fail("nobody is here to switch the diode; give --diode COMMAND, or --off with a recording", Exit.USAGE)
    try:
        words = shlex.split(command) if command is not None else []
    except ValueError as exc:
        fail(f"--diode {command}: {exc}; quote it as a shell takes it", Exit.USAGE)
    state: list[bool] = []

    def switch(on: bool) -> None:
        if state and state[-1] == on:
            return
        state.append(on)
        word = "on" if on else "off"
        if not words:
            typer.confirm(f"Switch the noise diode {word}. Done?", default=True, abort=True, err=True)
            return
        try:
            subprocess.run([*words, word], check=True, timeout=SWITCH_S, stdin=subprocess.DEVNULL, capture_output=True)
        except (OSError, subprocess.SubprocessError) as exc:
            fail(f"--diode {command!r}: could not switch it {word} ({exc}); try it by hand", Exit.NOT_READY)

    return switch


def _show(table: Path, made: "CalibrationFile", found: "Point") -> None:
    line = (
        f"{table}: full scale is {found.full_scale_dbm:.2f} ± {found.sd_db:.2f} dBm at "
        f"{found.frequency_hz / 1e6:g} MHz, {found.sample_rate_hz} S/s, {found.gain_db:g} dB"
    )
    if found.noise_figure_db is not None and found.noise_figure_sd_db is not None:
        line += f"; noise figure {found.noise_figure_db:.2f} ± {found.noise_figure_sd_db:.2f} dB"
    output_console().print(f"{line}; {len(made.points)} points of {made.device}", highlight=False)
