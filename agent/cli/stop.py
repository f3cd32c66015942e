"""`bandpact stop`: silence a radio with no agent, no network and no browser."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, fail, print_json

if TYPE_CHECKING:
    from agent.config import RadioSection
    from radio.ports import RfState

SAID = {
    "off": "OFF: muted, and read back as silent on a fresh connection",
    "on": "STILL ON: it was told to be silent and reads back that it is not; take its power away",
    "unknown": "UNKNOWN: nothing reads back; take it for transmitting, and take its power away",
}


def stop(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The node's TOML configuration.")] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="ID", help="A hardware profile, for its usual address.")
    ] = None,
    uri: Annotated[str | None, typer.Option(help="The device, as libiio writes it: ip:192.168.2.1, usb:1.5.5.")] = None,
    serial: Annotated[str | None, typer.Option(help="Refuse any other unit; alone, search for it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Mute a radio now, whatever else runs or does not, and read back whether it is silent.

    Ends with 0 only if it reads back as silent on a fresh connection; 4 if it is not, or nobody can tell.
    """
    section = _section(config, profile, uri, serial)
    state, why = _silenced(section)
    device = section.uri or section.serial or section.station
    if as_json:
        print_json({"device": device, "rf": state.value, "why": why})
    else:
        typer.echo(f"{device}: {SAID[state.value]}{f' ({why})' if why else ''}")
    raise typer.Exit(Exit.OK if state.value == "off" else Exit.NOT_READY)


def _section(config: Path | None, profile: str | None, uri: str | None, serial: str | None) -> "RadioSection":
    """Which radio is meant; ends the command where that is not said."""
    from agent.config import ConfigError, RadioSection, load  # noqa: PLC0415 - keeps --help fast

    if config is not None:
        try:
            return load(config).radio
        except ConfigError as exc:
            fail(str(exc), Exit.USAGE)
    address = uri or (_usual_address(profile) if profile is not None and serial is None else "")
    if not address and serial is None:
        fail("which radio? give --config FILE, --uri URI, --profile ID or --serial SERIAL", Exit.USAGE)
    return RadioSection(
        driver="pluto", uri=address or "", serial=serial, rx_center_hz=0, sample_rate_hz=0, rx_bandwidth_hz=0
    )


def _usual_address(profile: str) -> str:
    """The address a profile gives its kind of device; ends the command where there is none."""
    from hw_profiles.loader import ProfileError, load_radio  # noqa: PLC0415 - keeps --help fast

    try:
        address = load_radio(profile).connection.uri
    except ProfileError as exc:
        fail(str(exc), Exit.USAGE)
    if not address:
        fail(f"{profile}: names no address; give --uri URI", Exit.USAGE)
    return address


def _silenced(section: "RadioSection") -> "tuple[RfState, str]":
    """What reads back after muting, and why if it cannot be told."""
    from agent.wiring import silence  # noqa: PLC0415 - keeps --help fast
    from radio.errors import HardwareError, LocalError  # noqa: PLC0415
    from radio.ports import RfState  # noqa: PLC0415

    try:
        return silence(section), ""
    except (HardwareError, LocalError) as exc:
        return RfState.UNKNOWN, str(exc)
