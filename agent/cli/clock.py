"""`bandpact doctor`, `bandpact clock watch` and `bandpact config check` and `show`."""

from typing import Annotated

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, interruptible, output_console, print_json
from agent.cli.sources import ConfigOption, NodeArg, chosen

LEAST_S = 0.1
"""Shortest time in seconds between lines of `clock watch`."""
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
clocks = typer.Typer(cls=Listed, no_args_is_help=True, help="The clock of this node: its bound against the budget.")
settings = typer.Typer(
    cls=Listed,
    no_args_is_help=True,
    help="The configuration of this node: errors by file and key, and where each value comes from.",
)


def doctor(
    node: NodeArg = None,
    config: ConfigOption = None,
    wait: Annotated[str | None, typer.Option(metavar="TIME", help="how long to wait for the clock, like 10s")] = None,
    json_out: JsonOption = False,
) -> None:
    """Say what is wrong with this node and how to mend it. Exit 4 when it is not ready; changes nothing."""
    from agent.doctor.checks import diagnose
    from agent.words.units import parse_time

    config = chosen(node, config)
    wait_s = None if wait is None else parse_time(wait, "--wait")
    with interruptible():
        found = diagnose(config, wait_s=wait_s)
    if json_out:
        print_json(found.as_dict())
    else:
        out = output_console()
        for check in found.checks:
            out.print(f"{check.state:5} {check.name}: {check.found}", highlight=False, markup=False)
            if check.mend:
                out.print(f"      mend: {check.mend}", highlight=False, markup=False)
        out.print("READY" if found.ready else "NOT READY", style="bold")
    raise typer.Exit(Exit.OK if found.ready else Exit.NOT_READY)


@clocks.command()
def watch(
    node: NodeArg = None,
    config: ConfigOption = None,
    length: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="how long to watch, like 10min; for ever if not said")
    ] = None,
    every: Annotated[str, typer.Option(metavar="TIME", help="time between lines, at least 100ms")] = "1s",
    json_out: JsonOption = False,
) -> None:
    """Draw the clock's bound against its budget over time, a line at a time."""
    import json
    import time

    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from agent.timekeeping.assembly import timekeeper
    from agent.timekeeping.shown import line, plain
    from agent.words.units import parse_time

    seconds = None if length is None else parse_time(length, "--for")
    every_s = parse_time(every, "--every")
    if seconds == 0:
        fail(f"--for {length}: nothing is seen in no time; give 1s or more", Exit.USAGE)
    if every_s < LEAST_S:
        fail(f"--every {every}: give 100ms or more", Exit.USAGE)
    try:
        keeper = timekeeper(load_found(chosen(node, config)))
    except ConfigError as exc:
        fail(str(exc))
    end = None if seconds is None else time.monotonic() + seconds
    with interruptible():
        try:
            while end is None or time.monotonic() < end:
                state = plain(keeper.state())
                typer.echo(
                    json.dumps(state) if json_out else f"{time.strftime('%H:%M:%SZ', time.gmtime())} {line(state)}"
                )
                time.sleep(every_s)
        finally:
            keeper.close()


@settings.command()
def check(node: NodeArg = None, config: ConfigOption = None, json_out: JsonOption = False) -> None:
    """Check the configuration: errors name file, line and key."""
    from agent.config.files import files, load_found
    from agent.config.settings import ConfigError

    config = chosen(node, config)
    try:
        load_found(config)
        read = [str(path) for path in files(config)]
    except ConfigError as exc:
        if json_out:
            print_json({"ok": False, "error": str(exc)})
            raise typer.Exit(Exit.FAILURE) from exc
        fail(str(exc))
    if json_out:
        print_json({"ok": True, "files": read})
    else:
        output_console().print(f"good: {', '.join(read)}", highlight=False)


@settings.command()
def show(
    node: NodeArg = None,
    config: ConfigOption = None,
    origin: Annotated[bool, typer.Option("--origin", help="say where each value comes from")] = False,
    json_out: JsonOption = False,
) -> None:
    """Show every value in force."""
    import json

    from agent.config.files import load_found, origins, values
    from agent.config.settings import ConfigError

    config = chosen(node, config)
    try:
        found, came = values(load_found(config)), origins(config)
    except ConfigError as exc:
        fail(str(exc))
    if json_out:
        print_json({key: {"value": value, "origin": came.get(key, "default")} for key, value in found.items()})
        return
    out = output_console()
    for key, value in found.items():
        shown = "not set" if value is None else value if isinstance(value, str) else json.dumps(value)
        out.print(
            f"{key} = {shown}" + (f"   # {came.get(key, 'default')}" if origin else ""), highlight=False, markup=False
        )
