"""`bandpact relinquish`: ends a settlement before its window does."""

from typing import Annotated

import typer

from agent.cli.agentcall import converse, run_folder_of
from agent.cli.sources import ConfigOption, NodeArg, chosen


def relinquish(
    sid: Annotated[str, typer.Argument(metavar="ID", help="the settlement, or the beginning of its name")],
    node: NodeArg = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="a line of JSON for each step and nothing else")] = False,
) -> None:
    """Give a settlement back before its end: silence first, then the holder is told."""
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="relinquish", sid=sid)
