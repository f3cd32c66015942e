"""`bandpact tx`: the operator arms, disarms and clears a node's transmitter."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, output_console, print_json

tx = typer.Typer(cls=Listed, no_args_is_help=True, help="Arm, disarm and clear a running node's transmitter.")
NODE = Annotated[Path, typer.Argument(metavar="NODE", help="A node's folder or its node.toml.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def _ask(node: Path, request: dict[str, Any], *, as_json: bool) -> None:
    from agent.config.settings import ConfigError, load
    from agent.node.warden_process import OPERATOR
    from agent.words.units import time_text
    from radio.operator import OperatorError, ask

    try:
        answer = ask(load(node).run_folder / OPERATOR, request)
    except ConfigError as exc:
        fail(str(exc))
    except OperatorError as exc:
        fail(str(exc), Exit.NOT_READY)
    if as_json:
        print_json(answer)
        return
    why = f" ({answer['reason']})" if answer["reason"] else ""
    armed = f"armed for {time_text(answer['armed_for_s'])} more" if answer["armed_for_s"] else "not armed"
    output_console().print(f"gate {answer['state']}{why}, {armed}", highlight=False, markup=False)


@tx.command()
def arm(
    node: NODE,
    length: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Such as 10min, from 1s to 24h; then it is locked again.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JSON = False,
) -> None:
    """Let NODE transmit, inside what it has settled, for a bounded time."""
    from agent.words.units import parse_time, time_text

    for_s = parse_time(length, "--for")
    if not (1 <= for_s <= 86_400 and for_s == int(for_s)):
        fail(f"--for {length}: give whole seconds, from 1s to 24h", Exit.USAGE)
    if not yes:
        typer.confirm(f"Let {node} transmit for {time_text(for_s)}, inside its settlements?", abort=True, err=True)
    _ask(node, {"op": "arm", "for_s": int(for_s)}, as_json=as_json)


@tx.command()
def disarm(node: NODE, as_json: JSON = False) -> None:
    """Take the arming back: NODE falls silent at once."""
    _ask(node, {"op": "disarm"}, as_json=as_json)


@tx.command()
def clear(node: NODE, as_json: JSON = False) -> None:
    """Unlatch NODE after a fault or a stop, if its radio reads back as silent; it stays disarmed."""
    _ask(node, {"op": "clear"}, as_json=as_json)


@tx.command()
def status(node: NODE, as_json: JSON = False) -> None:
    """Say what the gate of NODE says."""
    _ask(node, {"op": "status"}, as_json=as_json)
