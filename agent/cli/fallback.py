"""`bandpact fallback`: has a holder move a settlement to its agreed substitute."""

from typing import Annotated

import typer

from agent.cli.agentcall import converse, run_folder_of
from agent.cli.common import Exit, fail
from agent.cli.sources import ConfigOption, NodeArg, chosen


def fallback(
    sid: Annotated[str, typer.Argument(metavar="ID", help="the settlement, or the beginning of its name")],
    node: NodeArg = None,
    config: ConfigOption = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="BAND", help="where its substitute is, such as 3560-3570MHz")
    ] = None,
    without: Annotated[
        bool, typer.Option("--without", help="end it early for nobody: its user may dispute that it was not kept")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="a line of JSON for each step and nothing else")] = False,
) -> None:
    """Have a holder move a settlement it granted to the substitute it is bound to offer; exit 1 says why not.

    The fallback was chosen at signing from the rule's catalogue (bandpact acquire --fallback). The settlement ends when
    its substitute opens, not before its notice is over and its last lease has run out.
    """
    from agent.words.units import parse_edges

    if (to is None) != without:
        fail("give --to BAND, or --without a substitute", Exit.USAGE)
    low_hz, high_hz = parse_edges(to) if to is not None else (None, None)
    converse(
        run_folder_of(chosen(node, config)), as_json=as_json, do="fallback", sid=sid, low_hz=low_hz, high_hz=high_hz
    )
