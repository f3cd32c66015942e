"""`bandpact node config` and `bandpact authority rule draft`: write a configuration or a rule to be edited."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.authority import DESK, Folder, open_desk
from agent.cli.common import fail
from agent.words.shell import quoted


def node_config(
    folder: Annotated[Path, typer.Argument(help="The folder of an enrolled node.")],
    role: Annotated[
        str,
        typer.Option(help="holder, user, coordinator or auditor, as its credential says."),
    ],
    network: Annotated[str, typer.Option(help="The network's name.")],
    anchor: Annotated[str, typer.Option(help="The root to trust, SHA-256 in hex.")],
    rule_file: Annotated[Path, typer.Option("--rule", help="The signed rule.")],
    listen: Annotated[str, typer.Option(help="Where neighbours reach it, such as tcp://0.0.0.0:4700.")],
    radio: Annotated[
        str, typer.Option(help="The radio, such as ip:192.168.2.1 or usb: of a Pluto, or soapy:driver=uhd.")
    ],
    place: Annotated[
        tuple[str, str], typer.Option(metavar="LAT LON", help="Where the antenna is, in degrees, such as 36.95 -76.3.")
    ],
    peer: Annotated[list[str] | None, typer.Option(help="ENDPOINT=CHAIN of a neighbour; may be said again.")] = None,
    authority: Annotated[
        list[Path] | None,
        typer.Option(metavar="CHAIN", help="Credential of an authority below the root, whose rulings count here."),
    ] = None,
    simulated: Annotated[bool, typer.Option(help="As `bandpact sim pluto`: clock and place are too.")] = False,
) -> None:
    """Write a node's configuration, node.toml, into its folder; edit it as you like. Never overwrites one."""
    from agent.config.settings import ConfigError
    from agent.desk.drafts import Neighbour, NodeDraft, draft_node
    from agent.node.suited import trust_suited
    from agent.words.units import parse_latitude, parse_longitude

    peers = []
    for one in peer or ():
        endpoint, _, chain = one.partition("=")
        if not chain:
            fail(f"--peer {one}: not ENDPOINT=CHAIN, such as tcp://192.0.2.7:4700=alice.chain")
        peers.append(Neighbour(endpoint=endpoint, chain=Path(chain)))
    draft = NodeDraft(
        role=role,
        network=network,
        anchor=anchor,
        rule=rule_file,
        listen=listen,
        radio=radio,
        simulated=simulated,
        lat_e7=parse_latitude(place[0], "--place"),
        lon_e7=parse_longitude(place[1], "--place"),
        peers=peers,
        authorities=authority or (),
    )
    try:
        path = draft_node(folder, draft, checked=trust_suited)
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{path}: next: bandpact run --config {quoted(path)}")


def rule_draft(
    out: Annotated[Path, typer.Option(help="Where to write the rule, in TOML.")],
    name: Annotated[str, typer.Option(help="The rule's name.")] = "rule",
    life: Annotated[str, typer.Option("--for", metavar="TIME", help="How long it is in force, in whole days.")] = "30d",
    simulated: Annotated[bool, typer.Option(help="For simulated radios: their clocks and places count.")] = False,
    holders: Annotated[
        int,
        typer.Option(
            min=1, help="How many holders may grant one cell, or as many as were issued where those are more."
        ),
    ] = 1,
    nodes: Annotated[
        int, typer.Option(min=0, help="How many nodes there are, or as many as were issued where those are more.")
    ] = 0,
    desk: Folder = DESK,
) -> None:
    """Write a rule for all that this authority governs, to be edited and then signed. Never overwrites one."""
    from agent.config.settings import ConfigError
    from agent.desk.classes import signed_classes
    from agent.desk.drafts import draft_rule
    from agent.desk.overlaps import grantors
    from agent.words.units import parse_days
    from settlement.governing.classfile import class_terms

    try:
        days = parse_days(life, "--for")
        opened = open_desk(desk)
        held = grantors(opened)
        count = max(nodes, len({s.name for s in opened.credentials() if s.transport_key is not None}))
        draft_rule(
            out,
            name=name,
            scope=opened.me.scope,
            days=days,
            simulated=simulated,
            holders=max(holders, len(held)),
            nodes=count,
            classes={
                name: class_terms(schema, digest, max_eirp_mdbm=opened.me.scope.max_eirp_mdbm)
                for name, (digest, schema) in signed_classes(opened).items()
            },
        )
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{out}: edit it, then: bandpact authority rule sign {quoted(out)} --out rule.signed")
