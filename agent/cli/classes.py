"""`bandpact authority class` and `authority admit`: commodity classes as configuration, and who takes part in them."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.authority import DESK, Folder, at_desk
from agent.cli.commandlist import Listed
from agent.cli.common import fail, say

commodity = typer.Typer(cls=Listed, no_args_is_help=True, help="Check and sign commodity classes.")
NAME = "A class in TOML, or the name of one that ships: spectrum, backhaul."


@commodity.command("check")
def class_check(
    name: Annotated[str, typer.Argument(metavar="FILE", help=NAME)],
    as_json: Annotated[bool, typer.Option("--json", help="What it says as JSON and nothing else.")] = False,
) -> None:
    """Check a class key by key, and that it does not contradict itself; exit 1 names the key.

    Amounts are whole numbers of `unit`, times are ns. `bandpact authority class check spectrum` shows one that holds.
    """
    import json

    from agent.config.settings import ConfigError
    from agent.desk.classes import checked_class
    from agent.words.units import time_text
    from settlement.chain.codec import to_map
    from settlement.governing.classfile import band_of

    try:
        body = checked_class(name)
    except ConfigError as exc:
        fail(str(exc))
    if as_json:
        said = {"class": body.commodity, "version": body.version, "unit": body.unit, "fields": len(to_map(body))}
        typer.echo(json.dumps(said | {"low": body.low, "high": body.high, "raster": body.raster}))
        return
    longest = time_text((body.max_window_ns or 0) / 1e9)
    say(f"{body.commodity} {body.version}: {band_of(body)} in {body.quantity} of {body.raster} {body.unit}")
    say(f"  windows up to {longest}, in units of {time_text((body.time_unit_ns or 0) / 1e9)}; place: {body.place}")
    say(f"  users of one cell: {body.users or 1}; senses: {', '.join(body.envelope or ()) or 'nothing'}")
    say(f"  prices: {', '.join(body.price_forms or ()) or 'any'} in {body.currency or 'no currency'}")
    if body.licence is not None:
        uses = f"for {', '.join(body.licence.use)}, at most {time_text(body.licence.keep_ns / 1e9)}"
        say(f"  licence: {uses}; aggregates to {body.licence.aggregate}, passed on to {body.licence.redistribute}")
    for kept in body.retention or ():
        say(f"  {kept.what} are kept for {time_text(kept.keep_ns / 1e9)}")


@commodity.command("sign")
def class_sign(
    name: Annotated[str, typer.Argument(metavar="FILE", help=NAME)],
    out: Annotated[Path, typer.Option(help="The signed schema record; `bandpact node tell` hands it to a node.")],
    desk: Folder = DESK,
) -> None:
    """Check a class and sign it as a schema record; `authority rule draft` then drafts its terms into the rule."""
    from agent.config.settings import ConfigError
    from agent.desk.classes import sign_class

    try:
        with at_desk(desk) as opened:
            digest, body = sign_class(opened, name, out)
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{out}: class {body.commodity} {body.version} {digest.hex()}")


def admit(
    name: Annotated[str, typer.Argument(help="Whose credential, as `bandpact authority show` names it.")],
    out: Annotated[Path, typer.Option(help="The signed admission; `bandpact node tell` hands it to a node.")],
    rule_file: Annotated[Path, typer.Option("--rule", help="The signed rule that asks for it.")],
    commodity: Annotated[
        list[str] | None, typer.Option("--class", help="A class it may take part in; may be repeated; all if left out.")
    ] = None,
    life: Annotated[str, typer.Option("--for", metavar="TIME", help="For how long, in whole days.")] = "30d",
    bar: Annotated[str | None, typer.Option("--refuse", metavar="WHY", help="Say that it may not, and why.")] = None,
    desk: Folder = DESK,
) -> None:
    """Let somebody with a credential take part, or say that it may not, where the rule has `admission = 1`."""
    from agent.config.settings import ConfigError
    from agent.desk.classes import admit_participant
    from agent.words.units import parse_days

    try:
        days = parse_days(life, "--for")
        with at_desk(desk) as opened:
            body = admit_participant(
                opened, name, rule=rule_file, classes=tuple(commodity or ()), days=days, barred=bar, out=out
            )
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    may = f"takes part in {', '.join(body.classes)}" if body.outcome else f"may not take part: {body.reason}"
    typer.echo(f"{out}: {name} {may}, for {days} d; bandpact node tell hands it in")
