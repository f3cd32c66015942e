"""`bandpact ruling`: an authority rules on a dispute by replaying its case."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.authority import DESK, Folder, at_desk
from agent.cli.commandlist import Listed
from agent.cli.common import fail, print_json, say

ruling = typer.Typer(cls=Listed, no_args_is_help=True, help="Rule on disputes, at an authority's desk.")


@ruling.command()
def sign(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="what bandpact dispute show --case wrote")],
    out: Annotated[Path, typer.Option(help="the signed ruling; bandpact node tell hands it to either party's node")],
    desk: Folder = DESK,
    as_json: Annotated[bool, typer.Option("--json", help="what was ruled, as JSON")] = False,
) -> None:
    """Replay a dispute's case under the rule of its time, and sign what it comes to.

    Nothing is left to choose: whoever replays the case comes to the same ruling, and nodes refuse any other. Exit 1
    where this desk may not rule on it (level, band, area, class), or may not yet: an answer is still due.
    """
    from agent.config.settings import ConfigError
    from agent.desk import rulings

    try:
        with at_desk(desk) as opened:
            made = rulings.rule_on(opened, case, out)
    except ConfigError as exc:
        fail(str(exc))
    if as_json:
        print_json(made)
        return
    paid = f" of {made['compensation']} by {made['pays']} to {made['to']}" if made["compensation"] else ""
    say(f"{out}: {made['outcome']}{paid}; {made['reason']}")
