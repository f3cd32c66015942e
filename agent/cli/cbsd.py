"""`bandpact cbsd`: base stations below this node; `bandpact calendar`: the incumbents' signed calendar."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.clock import JsonOption
from agent.cli.commandlist import Listed
from agent.cli.common import fail, print_json, say
from agent.cli.sources import ConfigOption, NodeArg, chosen

cbsd = typer.Typer(cls=Listed, no_args_is_help=True, help="Base stations below this node (SAS-CBSD interface).")
calendar = typer.Typer(cls=Listed, no_args_is_help=True, help="The incumbents' signed calendar.")


@cbsd.command()
def serve(node: NodeArg = None, config: ConfigOption = None) -> None:
    """Be the SAS that this node's base stations see; what they get is what the warden allows at that instant."""
    from agent.cbrs.serve import serve as answer
    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from radio.process import stop_on_signals

    try:
        answer(load_found(chosen(node, config)), stop_on_signals(), lambda line: say(f"bandpact: {line}", err=True))
    except ConfigError as exc:
        fail(str(exc))


@cbsd.command()
def status(node: NodeArg = None, config: ConfigOption = None, json_out: JsonOption = False) -> None:
    """Show each base station's grant, the settlement beneath it, and the worst case from a cause to RF off."""
    from agent.cbrs.shown import DOOR, status_lines
    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from radio.cbrs.door import WardenGiver

    try:
        giver = WardenGiver(load_found(chosen(node, config)).run_folder / DOOR)
    except ConfigError as exc:
        fail(str(exc))
    found = giver.status()
    giver.close()
    if found is None:
        fail("no warden answers; start the node with `bandpact run`, as the same user and with [cbsd] in its file")
    if json_out:
        print_json(found)
    else:
        for line in status_lines(found):
            say(line)


@cbsd.command()
def clear(
    device: Annotated[str, typer.Argument(help="As `bandpact cbsd status` names it, such as cbsd:FCCID/SERIAL.")],
    node: NodeArg = None,
    config: ConfigOption = None,
    json_out: JsonOption = False,
) -> None:
    """After somebody looked into a base station that was heard past its end: it may have grants again.

    Example: bandpact cbsd clear cbsd:ABC123/serial-7 node/
    """
    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from agent.node.warden_process import OPERATOR
    from radio.operator import OperatorError, ask

    try:
        ask(load_found(chosen(node, config)).run_folder / OPERATOR, {"op": "clear station", "device": device})
    except (ConfigError, OperatorError) as exc:
        fail(str(exc))
    if json_out:
        print_json({"cleared": device})
    else:
        say(f"{device}: may have grants again")


@calendar.command("sign")
def sign(
    source: Annotated[Path, typer.Argument(help="The calendar as JSON: name, serial, valid_until, reservations.")],
    key: Annotated[Path, typer.Option(help="The authority's signing key file.")],
    out: Annotated[Path, typer.Option(help="Where the signed calendar goes.")],
) -> None:
    """Sign a calendar; it is read and checked first."""
    from agent.config.keyfiles import read_key
    from hw_profiles.smallfile import read_small
    from radio.cbrs.calendar import LIMIT, read_calendar, seal
    from radio.cbrs.messages import read_json

    made = read_calendar(read_json(read_small(source, limit=LIMIT), limit=LIMIT))
    if isinstance(made, str):
        fail(f"{source}: {made}; a calendar has name, serial, valid_until and reservations")
    _write(out, seal(made, read_key(key)), f"{len(made.reservations)} reservations, serial {made.serial}")


@calendar.command("import")
def take(
    source: Annotated[Path, typer.Argument(help="A reservation file in the TARDyS3 form.")],
    lists: Annotated[
        Path, typer.Option(help="JSON: channels {id: [low_hz, high_hz]}, areas {id: [lat_e7, lon_e7, radius_mm]}")
    ],
    key: Annotated[Path, typer.Option(help="The authority's signing key file.")],
    name: Annotated[str, typer.Option(help="Whose calendar it is.")],
    serial: Annotated[int, typer.Option(min=0, help="Above the serial of the one before.")],
    valid_until: Annotated[str, typer.Option(help="Until when it speaks: YYYY-MM-DDThh:mm:ssZ.")],
    out: Annotated[Path, typer.Option(help="Where the signed calendar goes.")],
) -> None:
    """Make a signed calendar of a TARDyS3 file; what the lists do not know closes more, never less."""
    from agent.config.keyfiles import read_key
    from hw_profiles.smallfile import read_small
    from radio.cbrs import times
    from radio.cbrs.calendar import LIMIT, seal
    from radio.cbrs.messages import BadBody, read_json
    from radio.cbrs.tardys import imported, lists_of
    from settlement.core.reasons import Refusal

    until_ns = times.parse(valid_until)
    if until_ns is None:
        fail(f"--valid-until {valid_until}: not of the form YYYY-MM-DDThh:mm:ssZ")
    listed = read_json(read_small(lists, limit=LIMIT), limit=LIMIT)
    known = listed.why if isinstance(listed, BadBody) else lists_of(listed)
    if isinstance(known, str):
        fail(f"{lists}: {known}")
    data = read_small(source, limit=LIMIT)
    made = imported(data, known, name=name, serial=serial, valid_until_ns=until_ns)
    if isinstance(made, Refusal):
        fail(f"{source}: {made}")
    _write(out, seal(made, read_key(key)), f"{len(made.reservations)} reservations, serial {made.serial}")


@calendar.command("check")
def check(
    source: Annotated[Path, typer.Argument(help="A signed calendar.")],
    keys: Annotated[list[str], typer.Option("--key", help="A public key (64 hex digits) whose signature counts.")],
    json_out: JsonOption = False,
) -> None:
    """Read a signed calendar as a warden does, and say what it closes. Exit 1 when it is refused."""
    from hw_profiles.smallfile import read_small
    from radio.cbrs.calendar import LIMIT, open_calendar, plain
    from settlement.core.reasons import Refusal

    try:
        known = [bytes.fromhex(key) for key in keys]
    except ValueError:
        fail("--key: 64 hex digits each")
    found = open_calendar(read_small(source, limit=LIMIT), known)
    if isinstance(found, Refusal):
        fail(f"{source}: {found}")
    if json_out:
        print_json(plain(found))
        return
    shown = plain(found)
    say(f"{shown['name']}, serial {shown['serial']}, speaks until {shown['valid_until']}")
    for one in shown["reservations"]:
        where = "in an area" if "area" in one else "everywhere"
        band = f"{one['low_hz'] / 1e6:g}-{one['high_hz'] / 1e6:g} MHz"
        say(f"{band} {one['start']} to {one['end']} {where}: {one['name']}")


def _write(out: Path, data: bytes, what: str) -> None:
    from hw_profiles.wholefile import write_whole

    write_whole(out, data)
    say(f"{out}: {what}")
