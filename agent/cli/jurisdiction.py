"""`bandpact authority jurisdiction`: checks and signs an authority's terms for its own area, for a rule to name."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.authority import DESK, Folder, at_desk
from agent.cli.commandlist import Listed
from agent.cli.common import fail, print_json, say

jurisdiction = typer.Typer(
    cls=Listed, no_args_is_help=True, help="Check and sign what an authority asks for in its own area."
)
File = Annotated[Path, typer.Argument(metavar="FILE", help="A jurisdiction in TOML.")]


@jurisdiction.command("check")
def jurisdiction_check(
    file: File, as_json: Annotated[bool, typer.Option("--json", help="What it says as JSON and nothing else.")] = False
) -> None:
    """Check a jurisdiction key by key, without signing it; exit 1 names the key."""
    from agent.config.settings import ConfigError
    from agent.desk.jurisdictions import checked_jurisdiction

    try:
        body = checked_jurisdiction(file)
    except ConfigError as exc:
        fail(str(exc))
    if as_json:
        rows = [{"class": one.commodity, "max_eirp_mdbm": one.max_eirp_mdbm} for one in body.classes]
        print_json({"name": body.name, "clause": body.clause, "reconciliation": body.reconciliation, "classes": rows})
        return
    say(f"{body.name} by {body.clause}: {body.area}; {body.reconciliation or 'no policy'} beside another's area")
    for one in body.classes:
        longest = f"{one.max_window_ns / 1e9:g} s"
        say(f"  {one.commodity}: at most {one.max_eirp_mdbm / 1000:g} dBm EIRP for {longest}")


@jurisdiction.command("sign")
def jurisdiction_sign(
    file: File,
    out: Annotated[Path, typer.Option(help="The signed jurisdiction; a rule names the file in `jurisdictions`.")],
    desk: Folder = DESK,
) -> None:
    """Check what this authority asks for in its area, and sign it; exit 1 names the key.

    Whoever signs the rule of the network names the file in the rule's `jurisdictions`; no other word of it is needed.
    Example: bandpact authority jurisdiction sign north.toml --desk north --out north.jurisdiction
    """
    from agent.config.settings import ConfigError
    from agent.desk.jurisdictions import sign_jurisdiction

    try:
        with at_desk(desk) as opened:
            digest, body = sign_jurisdiction(opened, file, out)
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    say(f"{out}: jurisdiction {body.name} by {body.clause}, {digest.hex()}")
