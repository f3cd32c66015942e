"""`bandpact authority members`: signs the list of members that certify auctions."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.authority import DESK, Folder, at_desk
from agent.cli.common import fail, say


def members(
    name: Annotated[str, typer.Argument(help="The list's name, as `[classes.auction]` of the rule has it.")],
    out: Annotated[Path, typer.Option(help="The signed list; `bandpact node tell` hands it to a node.")],
    member: Annotated[
        list[str],
        typer.Option(
            metavar="NAME:ROLE",
            help="A credential of this desk and its role, such as coast:regulator; once "
            "for each; a weight may follow, such as coast:regulator:2.",
        ),
    ],
    faulty: Annotated[
        int, typer.Option(min=0, help="How many may be faulty; 3 times as many and 1 must be named.")
    ] = 1,
    epoch: Annotated[int | None, typer.Option(min=1, help="Its epoch; the next of its name if left out.")] = None,
    life: Annotated[str, typer.Option("--for", metavar="TIME", help="For how long, in whole days.")] = "30d",
    desk: Folder = DESK,
) -> None:
    """Sign who certifies auctions in an epoch: members, roles, weights. It takes the place of the last of its name."""
    from agent.config.settings import ConfigError
    from agent.desk.members import sign_members
    from agent.words.units import parse_days
    from settlement.quorum.group import quorum_of

    try:
        days = parse_days(life, "--for")
        with at_desk(desk) as opened:
            digest, body = sign_members(opened, name, member, faulty=faulty, epoch=epoch, days=days, out=out)
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{out}: members {body.name}, epoch {body.epoch} {digest.hex()}")
    say(
        f"  {len(body.members)} members, {faulty} may be faulty; "
        f"{quorum_of(len(body.members), body.faulty)} votes certify"
    )
