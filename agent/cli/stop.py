"""`bandpact stop`: mutes a radio without agent, network or browser."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, fail, print_json, say
from agent.cli.sources import ConfigOption, NodeArg, chosen

if TYPE_CHECKING:
    from radio.drivers.section import RadioSection

SERIAL = "serial="
KINDS = ("ip", "usb", "serial", "local", "xml")
"""Prefixes of a Pluto's address in libiio; another radio's address begins with its driver's name."""
SAID = {
    "off": "OFF: muted, and read back as silent on a fresh connection",
    "on": "STILL ON: it was told to be silent and reads back that it is not; take its power away",
    "unknown": "UNKNOWN: nothing reads back; take it for transmitting, and take its power away",
}
LATCHED = "its gate is disarmed and latched; `bandpact tx clear NODE`, then `tx arm NODE`, lets it transmit again"
MAY_REOPEN = "it does not answer, and MAY OPEN ITS GATE AGAIN: end that process"


def stop(
    node: NodeArg = None,
    config: ConfigOption = None,
    profile: Annotated[
        str | None, typer.Option(metavar="ID", help="A hardware profile, for its usual address.")
    ] = None,
    uri: Annotated[
        str | None,
        typer.Option(help="The device, such as ip:192.168.2.1 or usb:1.5.5 of a Pluto; others as DRIVER:URI."),
    ] = None,
    serial: Annotated[
        str | None, typer.Option(help="The unit's serial number: any other is refused; alone, it is searched for.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Mute a radio now, whatever else runs or does not, and read back whether it is silent.

    A node of this host that drives it is disarmed and latched too. Ends with 0 only if it reads back as silent on a
    fresh connection; 3 if a node that did not answer may open it again; 4 if it is not silent, or nobody can tell.
    """
    from dataclasses import asdict

    from agent.node.emergencystop import stop_radio

    section = _section(chosen(node, config), profile, uri, serial)
    found = stop_radio(section)
    device = section.where
    if as_json:
        nodes = [asdict(one) for one in found.nodes]
        print_json({"device": device, "rf": found.rf.value, "why": found.why, "nodes": nodes})
    else:
        say(f"{device}: {SAID[found.rf.value]}{f' ({found.why})' if found.why else ''}")
        for one in found.nodes:
            say(f"node {one.node} (process {one.process}): {LATCHED if one.latched else MAY_REOPEN}")
    if found.rf.value != "off":
        raise typer.Exit(Exit.NOT_READY)
    raise typer.Exit(Exit.OK if found.for_good else Exit.WARNINGS)


def _section(config: Path | None, profile: str | None, uri: str | None, serial: str | None) -> "RadioSection":
    """Return the radio's configuration; ends the command where no option names a radio."""
    from agent.config.settings import ConfigError, load
    from radio.drivers.registry import DRIVERS, unit_at

    if config is not None:
        try:
            return load(config).radio
        except ConfigError as exc:
            fail(str(exc), Exit.USAGE)
    if uri is not None and not uri.startswith((SERIAL, *(f"{kind}:" for kind in (*KINDS, *DRIVERS)))):
        fail(f"--uri {uri:.80}: write it as ip:192.168.2.1, usb:1.5.5 or DRIVER:URI; nothing was muted", Exit.USAGE)
    address = uri or (_usual_address(profile) if profile is not None and serial is None else "")
    if not address and serial is None:
        fail("which radio? give NODE, --uri URI, --profile ID or --serial SERIAL", Exit.USAGE)
    try:
        return unit_at(address or "", serial)
    except ValueError as exc:
        fail(f"--uri {address}: {exc}", Exit.USAGE)


def _usual_address(profile: str) -> str:
    """Return the address that a profile gives its kind of device; ends the command where it has none."""
    from hw_profiles.loader import ProfileError, load_radio

    try:
        address = load_radio(profile).connection.uri
    except ProfileError as exc:
        fail(str(exc), Exit.USAGE)
    if not address:
        fail(f"{profile}: names no address; give --uri URI", Exit.USAGE)
    return address
