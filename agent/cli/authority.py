"""`bandpact authority`: an authority's keys, credentials, rules and revocations, made offline in its folder, the desk.

Long because a command is mostly the help of its options, and these commands share how a desk is opened.
"""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, say
from agent.cli.entitled import entitled, instant_text, ruled, scope_text
from agent.cli.places import Circle, Corners, area_of, bands_of, some_area
from agent.words.units import UnitMissing, parse_days, parse_power, parse_time, time_text
from hw_profiles.smallfile import read_small_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.desk.folder import Desk
    from settlement.chain.credentials import Subject
    from settlement.chain.scope import Area, Scope

authority = typer.Typer(
    cls=Listed, no_args_is_help=True, help="Issue, revoke and rotate credentials and sign rules, offline."
)
rule = typer.Typer(cls=Listed, no_args_is_help=True, help="Sign rules.")
authority.add_typer(rule, name="rule")

Folder = Annotated[Path, typer.Option("--desk", help="The authority's folder.")]
PASSPHRASE = "BANDPACT_PASSPHRASE"  # noqa: S105 - the name of a variable
DESK = Path("authority")
BAND = "Such as 3550-3570MHz, or 0-1Gbit/s of a class in another unit; may be repeated."
Bands = Annotated[list[str], typer.Option("--band", metavar="BAND", help=BAND)]
LIFE = "Life of the credential, in whole days, such as 30d."


def _passphrase() -> str | None:
    return os.environ.get(PASSPHRASE) or None


@authority.command()
def init(
    name: Annotated[str, typer.Argument(help="The authority's name.")],
    band: Bands,
    network: Annotated[str, typer.Option(help="The network it governs.")],
    commodity: Annotated[list[str], typer.Option("--class", help="Commodity class; may be repeated.")],
    area: Circle = None,
    corner: Corners = None,
    max_eirp: Annotated[str, typer.Option(metavar="POWER", help="The most it can allow, such as 30dBm.")] = "30dBm",
    life: Annotated[str, typer.Option("--for", metavar="TIME", help=LIFE)] = "365d",
    desk: Folder = DESK,
) -> None:
    """Make a root authority: its key, its credential, and the anchor others configure.

    With BANDPACT_PASSPHRASE set the key is written encrypted. A key that is there is never overwritten.
    """
    from agent.config.settings import ConfigError
    from agent.desk import folder as desks

    try:
        where = some_area(area, corner)
        scope = _scope(band, where, commodity, desks.AUTHORITY_ACTIONS, (1, parse_power(max_eirp, "--max-eirp"), 3))
        lat_e7, lon_e7 = where.anchor
        place = desks.DeskPlace(lat_e7=lat_e7, lon_e7=lon_e7)
        days, secret = parse_days(life, "--for"), _passphrase()
        anchor = desks.init(desk, name=name, network=network, scope=scope, days=days, place=place, passphrase=secret)
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{network} {anchor}")
    typer.echo(f"{name} may: {scope_text(scope)}", err=True)


def _scope(
    bands: list[str], area: "Area", classes: list[str], actions: tuple[str, ...], limits: tuple[int, int, int]
) -> "Scope":
    from settlement.chain import scope as s

    tier, eirp, depth = limits
    return s.Scope(
        bands=bands_of(bands),
        area=area,
        classes=tuple(classes),
        actions=actions,
        tier=tier,
        max_eirp_mdbm=eirp,
        depth=depth,
    )


def open_desk(desk: Path) -> "Desk":
    """Open the authority's desk in a folder. Raises ConfigError."""
    from agent.config.keyfiles import load_chain
    from agent.config.settings import ConfigError
    from agent.desk.folder import Desk, DeskPlace
    from settlement.chain import records
    from settlement.chain.credentials import Registry, Subject

    if not (desk / "credential.chain").is_file():
        made = f"one is made by: bandpact authority init NAME --desk {desk} (see its --help)"
        raise ConfigError(f"{desk}: no authority's desk; give an authority's folder as --desk; {made}")
    chain = load_chain(desk / "credential.chain")
    network = read_small_text(desk / "network.txt").strip() if (desk / "network.txt").is_file() else ""
    mine = Registry(network, [records.digest(chain[0])]).admit_chain(chain)
    lat_e7, lon_e7 = mine.scope.area.anchor if isinstance(mine, Subject) else (0, 0)
    place = DeskPlace(lat_e7=lat_e7, lon_e7=lon_e7)
    return Desk(desk, place=place, passphrase=_passphrase())


def _say_entitled(subject: "Subject") -> None:
    """Print an entitled party's name, hash and status index, and what its credential allows, in people's units."""
    say(f"{subject.name} {subject.hash.hex()} status index {subject.status_index}")
    say(entitled(subject))


@contextmanager
def at_desk(desk: Path) -> "Iterator[Desk]":
    """Open the authority's desk for signing, locked against a second process. Raises ConfigError."""
    from agent.config.locks import held

    open_desk(desk)
    with held(desk, None, "bandpact authority", wait_s=10.0):
        yield open_desk(desk)


@authority.command()
def issue(
    request: Annotated[Path, typer.Argument(help="What `bandpact node init` wrote.")],
    name: Annotated[str, typer.Option(help="The node's name.")],
    role: Annotated[str, typer.Option(help="holder, user, coordinator or auditor.")],
    out: Annotated[Path, typer.Option(help="The new credential chain.")],
    eirp: Annotated[str, typer.Option(metavar="POWER", help="The most it may radiate, such as 20dBm.")] = "20dBm",
    life: Annotated[str, typer.Option("--for", metavar="TIME", help=LIFE)] = "30d",
    area: Circle = None,
    corner: Corners = None,
    band: Annotated[
        list[str] | None, typer.Option("--band", metavar="BAND", help=f"{BAND} The authority's own if left out.")
    ] = None,
    rule_file: Annotated[
        Path | None, typer.Option("--rule", help="The signed rule in force, where another desk signed it.")
    ] = None,
    desk: Folder = DESK,
) -> None:
    """Entitle a node: inside this authority's own scope, bound to its keys and its device."""
    from agent.config.settings import ConfigError
    from agent.desk import nodekeys

    try:
        days, eirp_mdbm = parse_days(life, "--for"), parse_power(eirp, "--eirp")
        limits = nodekeys.IssueLimits(eirp_mdbm=eirp_mdbm, area=area_of(area, corner), bands=bands_of(band or []))
        with at_desk(desk) as opened:
            subject = nodekeys.issue_for(
                opened, request, name=name, role=role, limits=limits, days=days, out=out, rule=rule_file
            )
    except ConfigError as exc:
        fail(str(exc))
    _say_entitled(subject)


@authority.command()
def revoke(
    out: Annotated[Path, typer.Option(help="The signed status list.")],
    fresh: Annotated[str, typer.Option("--for", metavar="TIME", help="How long the list speaks, such as 24h.")] = "24h",
    names: Annotated[
        list[str] | None, typer.Argument(help="Whose credentials to take back; nobody's if left out.")
    ] = None,
    desk: Folder = DESK,
) -> None:
    """Sign the next status list, for any node (`bandpact node tell`); it passes it on. Without names, a fresh one."""
    from agent.config.settings import ConfigError

    try:
        fresh_s = round(parse_time(fresh, "--for"))
        if fresh_s < 1:
            raise UnitMissing(f"--for {fresh!r}: a list has to speak for 1s or more, such as 7d")
        with at_desk(desk) as opened:
            opened.revoke(names or (), fresh_s=fresh_s, out=out)
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    held = opened.newest_list()
    taken = sum(byte.bit_count() for byte in held.bits) if held is not None else 0
    version = held.version if held is not None else 0
    said = f"status list {version}, {taken} taken back, speaks for {time_text(fresh_s)}"
    typer.echo(f"{out}: {said}; bandpact node tell hands it in")


@authority.command()
def reissue(
    request: Annotated[Path, typer.Argument(help="What `bandpact node rekey` or `authority rekey` wrote.")],
    name: Annotated[str, typer.Option(help="Whose new key it is.")],
    out: Annotated[Path, typer.Option(help="The new credential chain.")],
    life: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help=f"{LIFE} As long as the last one's if left out.")
    ] = None,
    desk: Folder = DESK,
) -> None:
    """Entitle somebody's new key to exactly what the old one may, for its rotation."""
    from agent.config.settings import ConfigError
    from agent.desk import nodekeys

    try:
        days = None if life is None else parse_days(life, "--for")
        with at_desk(desk) as opened:
            subject = nodekeys.reissue_for(opened, request, name=name, days=days, out=out)
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    _say_entitled(subject)


@authority.command("request")
def ask(
    network: Annotated[str, typer.Option(help="The network it is to govern in.")],
    name: Annotated[str | None, typer.Option(help="The name it is to have; any, if left out.")] = None,
    desk: Folder = DESK,
) -> None:
    """Make the key of an authority below another, and the request that the other delegates by."""
    from agent.config.settings import ConfigError
    from agent.desk import folder as desks

    try:
        path = desks.request(desk, network=network, passphrase=_passphrase(), name=name)
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{path}: give this to the authority above")


@authority.command()
def delegate(
    request: Annotated[Path, typer.Argument(help="What `bandpact authority request` wrote.")],
    name: Annotated[str, typer.Option(help="The new authority's name.")],
    out: Annotated[Path, typer.Option(help="The new credential chain.")],
    band: Annotated[list[str] | None, typer.Option("--band", metavar="BAND", help=f"{BAND} All if left out.")] = None,
    area: Circle = None,
    corner: Corners = None,
    max_eirp: Annotated[
        str | None, typer.Option(metavar="POWER", help="The most it can allow, such as 30dBm; all if left out.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, max=8, help="Levels below it; 1 is nodes only.")] = 1,
    level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="A level of the rule, such as regulator; this authority's own if left out."),
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option("--action", metavar="ACTION", help="What alone it may do, such as rule; may be repeated."),
    ] = None,
    life: Annotated[str, typer.Option("--for", metavar="TIME", help=LIFE)] = "180d",
    desk: Folder = DESK,
) -> None:
    """Make another key an authority below this one: its actions or fewer, in a narrower scope.

    Whoever rules on disputes of the next level is of that level and may `rule`: --level regulator --action rule.
    """
    from dataclasses import replace

    from agent.config.settings import ConfigError
    from agent.desk import nodekeys

    try:
        with at_desk(desk) as opened:
            mine = opened.me.scope
            scope = replace(
                mine,
                bands=bands_of(band or []) or mine.bands,
                area=area_of(area, corner) or mine.area,
                max_eirp_mdbm=mine.max_eirp_mdbm if max_eirp is None else parse_power(max_eirp, "--max-eirp"),
                actions=_actions(action, mine.actions),
                depth=depth,
            )
            subject = nodekeys.delegate_to(
                opened, request, name=name, scope=scope, days=parse_days(life, "--for"), out=out, level=level
            )
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    _say_entitled(subject)


def _actions(asked: list[str] | None, mine: tuple[str, ...]) -> tuple[str, ...]:
    """Return the named actions of this authority, in its order; all if none was named."""
    strange = [one for one in asked or () if one not in mine]
    if strange:
        fail(f"--action {strange[0]}: this authority may {', '.join(mine)}", Exit.USAGE)
    return tuple(one for one in mine if asked is None or one in asked)


@authority.command("enrol")
def take_in(
    chain: Annotated[Path, typer.Argument(help="The credential chain from the authority above.")],
    anchor: Annotated[str, typer.Option(help="The root to trust, SHA-256 in hex.")],
    desk: Folder = DESK,
) -> None:
    """Take in the credential that makes this desk an authority below another."""
    from agent.config.settings import ConfigError
    from agent.desk import folder as desks

    try:
        name = desks.enrol(desk, chain, anchor=anchor, passphrase=_passphrase())
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{desk}: enrolled as {name}")


@authority.command("rekey")
def next_key(desk: Folder = DESK) -> None:
    """Make the next key of an authority below another, and the request for its new credential."""
    from agent.config.settings import ConfigError

    try:
        with at_desk(desk) as opened:
            path = opened.rekey(_passphrase())
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{path}: give this to the authority above; it reissues by it")


@authority.command()
def rotate(
    out: Annotated[Path, typer.Option(help="The signed rotation; `bandpact node tell` gives it to any node.")],
    successor: Annotated[
        Path | None, typer.Option(help="The reissued credential chain, where this authority is no root.")
    ] = None,
    above: Annotated[
        list[Path] | None, typer.Option(help="Rotations of authorities above since; may be repeated, in order.")
    ] = None,
    life: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Life of a root's new credential, in whole days.")
    ] = "365d",
    desk: Folder = DESK,
) -> None:
    """Give the authority a new key; the record is signed by the old and the new."""
    from agent.config.settings import ConfigError

    try:
        with at_desk(desk) as opened:
            for rotation in above or ():
                opened.hear(rotation)
            opened.rotate(days=parse_days(life, "--for"), passphrase=_passphrase(), successor=successor, out=out)
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{out}: rotation; bandpact node tell hands it in")


@authority.command()
def show(desk: Folder = DESK) -> None:
    """Say who this authority is and what it has issued."""
    from agent.config.settings import ConfigError

    try:
        opened = open_desk(desk)
    except ConfigError as exc:
        fail(str(exc))
    say(f"{opened.network} {opened.me.chain[0] and opened.me.hash.hex()} {opened.me.name}")
    for subject in opened.credentials():
        taken = " taken back" if opened.revoked(subject) else ""
        who = f"{subject.status_index} {subject.name} {subject.level} {subject.hash.hex()}{taken}"
        say(f"  {who}: {scope_text(subject.scope)}; until {instant_text(subject.expires_ns)}")


@rule.command("sign")
def rule_sign(
    text: Annotated[Path, typer.Argument(help="The rule in TOML.")],
    out: Annotated[Path, typer.Option(help="The signed rule, as nodes read it.")],
    after: Annotated[Path | None, typer.Option(help="The signed rule it follows.")] = None,
    desk: Folder = DESK,
) -> None:
    """Check a rule key by key and sign it.

    File names in its `jurisdictions` count from the rule's own folder; `authority jurisdiction sign` wrote each.
    """
    from agent.config.settings import ConfigError
    from agent.desk import nodekeys
    from agent.desk.jurisdictions import unreconciled
    from settlement.governing.rulefile import RuleFileError

    try:
        with at_desk(desk) as opened:
            digest, body = nodekeys.sign_rule(opened, text, out, after)
    except RuleFileError as exc:
        fail(f"{text}: {exc}", Exit.USAGE)
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{out}: rule {digest}")
    for line in ruled(body):
        say(line)
    for line in unreconciled(body):
        say(f"warning: {line}", err=True)
