"""The NODE and SOURCE arguments of all commands, so that each names a node or logs in the same way."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import Exit, fail

NodeArg = Annotated[
    Path | None,
    typer.Argument(metavar="NODE", help="A node's folder or its node.toml; the configuration found if left out."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The same as NODE, for those who are used to it.")
]


def chosen(node: Path | None, config: Path | None) -> Path | None:
    """Return the node named as argument or option; ends the command where both are given."""
    if node is not None and config is not None and node != config:
        fail(f"{node} beside --config {config}: which of the two is meant? give one", Exit.USAGE)
    return node if node is not None else config
