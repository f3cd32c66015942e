"""`bandpact tx …`: the operator arms, disarms and clears a node's transmitter."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.common import Exit, fail, output_console, print_json

tx = typer.Typer(no_args_is_help=True, help="Arm, disarm and clear a running node's transmitter.")
NODE = Annotated[Path, typer.Argument(metavar="NODE.toml", help="The node's configuration.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def _ask(node: Path, request: dict[str, Any], *, as_json: bool) -> None:
    from agent.config import ConfigError, load  # noqa: PLC0415 - keeps --help fast
    from agent.node.warden_process import OPERATOR  # noqa: PLC0415
    from radio.operator import OperatorError, ask  # noqa: PLC0415

    try:
        answer = ask(load(node).run_folder / OPERATOR, request)
    except ConfigError as exc:
        fail(str(exc), Exit.USAGE)
    except OperatorError as exc:
        fail(str(exc), Exit.NOT_READY)
    if as_json:
        print_json(answer)
        return
    why = f" ({answer['reason']})" if answer["reason"] else ""
    output_console().print(f"gate {answer['state']}{why}, armed for {answer['armed_for_s']} s more", highlight=False)


@tx.command()
def arm(
    node: NODE,
    for_s: Annotated[int, typer.Option("--for", min=1, max=86_400, help="Seconds; after that it is locked again.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JSON = False,
) -> None:
    """Let NODE transmit, inside what it has settled, for a bounded time."""
    if not yes:
        typer.confirm(f"Let {node} transmit for {for_s} s, inside its settlements?", abort=True, err=True)
    _ask(node, {"op": "arm", "for_s": for_s}, as_json=as_json)


@tx.command()
def disarm(node: NODE, as_json: JSON = False) -> None:
    """Take it back: NODE falls silent at once."""
    _ask(node, {"op": "disarm"}, as_json=as_json)


@tx.command()
def clear(node: NODE, as_json: JSON = False) -> None:
    """After a fault, when the radio reads back as silent: unlatch, disarmed."""
    _ask(node, {"op": "clear"}, as_json=as_json)


@tx.command()
def status(node: NODE, as_json: JSON = False) -> None:
    """Say what the gate of NODE says."""
    _ask(node, {"op": "status"}, as_json=as_json)
