"""`bandpact authority` and `bandpact node`: keys, credentials, rules and revocations at a desk, offline."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, fail
from agent.cli.places import Circle, Corners, area_of, bands_of, some_area

if TYPE_CHECKING:
    from agent.desk import Desk
    from settlement.chain.scope import Area, Scope

authority = typer.Typer(no_args_is_help=True, help="Issue, revoke and rotate credentials and sign rules, offline.")
rule = typer.Typer(no_args_is_help=True, help="Sign rules.")
authority.add_typer(rule, name="rule")
node = typer.Typer(no_args_is_help=True, help="Make a node's keys and take in its credential.")

Folder = Annotated[Path, typer.Option("--desk", help="The authority's folder.")]
PASSPHRASE = "BANDPACT_PASSPHRASE"  # noqa: S105 - the name of a variable
DESK = Path("authority")
Bands = Annotated[list[str], typer.Option("--band", help="LOW-HIGH in Hz; may be repeated.")]
REQUEST = "enrol.request"


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
    max_eirp_mdbm: Annotated[int, typer.Option(help="The most it can allow.")] = 30_000,
    days: Annotated[int, typer.Option(min=1, max=36_500, help="Life of its credential.")] = 365,
    desk: Folder = DESK,
) -> None:
    """Make a root authority: its key, its credential, and the anchor others configure.

    With BANDPACT_PASSPHRASE set the key is written encrypted. A key that is there is never overwritten.
    """
    from agent import desk as desks  # noqa: PLC0415 - keeps --help fast
    from agent.config import ConfigError  # noqa: PLC0415

    try:
        where = some_area(area, corner)
        scope = _scope(band, where, commodity, desks.AUTHORITY_ACTIONS, (1, max_eirp_mdbm, 3))
        lat_e7, lon_e7 = where.anchor
        place = desks.Place(lat_e7=lat_e7, lon_e7=lon_e7)
        anchor = desks.init(
            desk, name=name, network=network, scope=scope, days=days, place=place, passphrase=_passphrase()
        )
    except (ConfigError, ValueError) as exc:
        fail(str(exc))
    typer.echo(f"{network} {anchor}")


def _scope(
    bands: list[str], area: "Area", classes: list[str], actions: tuple[str, ...], limits: tuple[int, int, int]
) -> "Scope":
    from settlement.chain import scope as s  # noqa: PLC0415

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


def _open(desk: Path) -> "Desk":
    from agent.config import ConfigError  # noqa: PLC0415
    from agent.desk import Desk, Place  # noqa: PLC0415
    from agent.keyfiles import load_chain  # noqa: PLC0415
    from settlement.chain import records  # noqa: PLC0415
    from settlement.chain.credentials import Registry, Subject  # noqa: PLC0415

    if not (desk / "credential.chain").is_file():
        raise ConfigError(f"{desk}: no authority's desk; run: bandpact authority init --desk {desk}")
    chain = load_chain(desk / "credential.chain")
    network = (desk / "network.txt").read_text(encoding="utf-8").strip() if (desk / "network.txt").is_file() else ""
    mine = Registry(network, [records.digest(chain[0])]).admit_chain(chain)
    lat_e7, lon_e7 = mine.scope.area.anchor if isinstance(mine, Subject) else (0, 0)
    place = Place(lat_e7=lat_e7, lon_e7=lon_e7)
    return Desk(desk, place=place, passphrase=_passphrase())


@authority.command()
def issue(
    request: Annotated[Path, typer.Argument(help="What `bandpact node init` wrote.")],
    name: Annotated[str, typer.Option(help="The node's name.")],
    role: Annotated[str, typer.Option(help="holder or user.")],
    out: Annotated[Path, typer.Option(help="The new credential chain.")],
    eirp_mdbm: Annotated[int, typer.Option(help="The most it may radiate.")] = 20_000,
    days: Annotated[int, typer.Option(min=1, max=36_500, help="Life of the credential.")] = 30,
    area: Circle = None,
    corner: Corners = None,
    band: Annotated[
        list[str] | None, typer.Option("--band", help="LOW-HIGH in Hz; the authority's own if left out.")
    ] = None,
    desk: Folder = DESK,
) -> None:
    """Entitle a node: inside this authority's own scope, bound to its keys and its device."""
    from agent import nodekeys  # noqa: PLC0415
    from agent.config import ConfigError  # noqa: PLC0415

    try:
        limits = nodekeys.Limits(eirp_mdbm=eirp_mdbm, area=area_of(area, corner), bands=bands_of(band or []))
        subject = nodekeys.issue_for(_open(desk), request, name=name, role=role, limits=limits, days=days, out=out)
    except (ConfigError, ValueError) as exc:
        fail(str(exc))
    typer.echo(f"{name} {subject.hash.hex()} status index {subject.status_index}")


@authority.command()
def revoke(
    out: Annotated[Path, typer.Option(help="The signed status list.")],
    fresh_s: Annotated[int, typer.Option(min=1, help="How long the list speaks.")] = 86_400,
    names: Annotated[
        list[str] | None, typer.Argument(help="Whose credentials to take back; nobody's if left out.")
    ] = None,
    desk: Folder = DESK,
) -> None:
    """Sign the next status list; hand it to any node, it passes it on. Without names, one that only is fresh."""
    from agent import nodekeys  # noqa: PLC0415 - keeps --help fast
    from agent.config import ConfigError  # noqa: PLC0415

    try:
        opened = _open(desk)
        nodekeys.writable(out)
        out.write_bytes(opened.revoke(names or (), fresh_s=fresh_s))
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{out}: status list")


@authority.command()
def rotate(
    out: Annotated[Path, typer.Option(help="The signed rotation.")],
    days: Annotated[int, typer.Option(min=1, max=36_500, help="Life of the new credential.")] = 365,
    desk: Folder = DESK,
) -> None:
    """Give the authority a new key; the record is signed by the old and the new."""
    from agent import nodekeys  # noqa: PLC0415 - keeps --help fast
    from agent.config import ConfigError  # noqa: PLC0415

    try:
        opened = _open(desk)
        nodekeys.writable(out)
        out.write_bytes(opened.rotate(name=opened.me.name, days=days, passphrase=_passphrase()))
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{out}: rotation")


@authority.command()
def show(desk: Folder = DESK) -> None:
    """Say who this authority is and what it has issued."""
    from agent.config import ConfigError  # noqa: PLC0415

    try:
        opened = _open(desk)
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{opened.network} {opened.me.chain[0] and opened.me.hash.hex()} {opened.me.name}")
    for subject in opened.credentials():
        typer.echo(f"  {subject.status_index} {subject.name} {subject.level} {subject.hash.hex()}")


@rule.command("sign")
def rule_sign(
    text: Annotated[Path, typer.Argument(help="The rule in TOML.")],
    out: Annotated[Path, typer.Option(help="The signed rule, as nodes read it.")],
    after: Annotated[Path | None, typer.Option(help="The signed rule it follows.")] = None,
    desk: Folder = DESK,
) -> None:
    """Check a rule key by key and sign it."""
    from agent import nodekeys  # noqa: PLC0415
    from agent.config import ConfigError  # noqa: PLC0415
    from settlement.rulefile import RuleFileError  # noqa: PLC0415

    try:
        digest = nodekeys.sign_rule(_open(desk), text, out, after)
    except RuleFileError as exc:
        fail(f"{text}: {exc}", Exit.USAGE)
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{out}: rule {digest}")


@node.command("init")
def node_init(
    folder: Annotated[Path, typer.Argument(help="The node's folder.")],
    device: Annotated[str, typer.Option(help="The radio it is bound to, as the driver names it.")],
) -> None:
    """Make a node's keys, 0600 and never overwritten, and the request its authority needs."""
    from agent import nodekeys  # noqa: PLC0415
    from agent.config import ConfigError  # noqa: PLC0415

    try:
        nodekeys.make_request(folder, device)
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{folder / REQUEST}: give this to the authority")


@node.command()
def enrol(
    folder: Annotated[Path, typer.Argument(help="The node's folder.")],
    chain: Annotated[Path, typer.Argument(help="The credential chain from the authority.")],
    network: Annotated[str, typer.Option(help="The network's name.")],
    anchor: Annotated[str, typer.Option(help="The root to trust, SHA-256 in hex.")],
) -> None:
    """Check a credential against the anchor and the node's own keys, and take it in."""
    from agent import nodekeys  # noqa: PLC0415
    from agent.config import ConfigError  # noqa: PLC0415

    try:
        name = nodekeys.enrol(folder, chain, network=network, anchor=anchor)
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{folder}: enrolled as {name}")
