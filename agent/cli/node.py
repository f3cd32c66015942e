"""`bandpact node`: a node's keys and credential, and what a running one is told of them."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import fail
from agent.cli.sources import ConfigOption, NodeArg, chosen

node = typer.Typer(cls=Listed, no_args_is_help=True, help="Make a node's keys and take in its credential.")

REQUEST = "enrol.request"


@node.command("init")
def node_init(
    folder: Annotated[Path, typer.Argument(help="The node's folder.")],
    device: Annotated[str, typer.Option(help="The radio it is bound to, as the driver names it.")],
    name: Annotated[str | None, typer.Option(help="The name it asks for; the folder's if left out.")] = None,
) -> None:
    """Make a node's keys, 0600 and never overwritten, and the request its authority needs."""
    from agent.config.settings import ConfigError
    from agent.desk import nodekeys

    try:
        nodekeys.make_request(folder, device, name)
    except ConfigError as exc:
        fail(str(exc))
    called = name or folder.resolve().name
    typer.echo(f"{folder / REQUEST}: asks as {called}; give this to the authority")


@node.command()
def enrol(
    folder: Annotated[Path, typer.Argument(help="The node's folder.")],
    chain: Annotated[Path, typer.Argument(help="The credential chain from the authority.")],
    network: Annotated[str, typer.Option(help="The network's name.")],
    anchor: Annotated[str, typer.Option(help="The root to trust, SHA-256 in hex.")],
) -> None:
    """Check a credential against the anchor and the node's own keys, and take it in."""
    from agent.config.locks import not_running
    from agent.config.settings import ConfigError
    from agent.desk import nodekeys

    try:
        with not_running(folder, "bandpact node enrol"):
            name = nodekeys.enrol(folder, chain, network=network, anchor=anchor)
    except ConfigError as exc:
        fail(str(exc))
    typer.echo(f"{folder}: enrolled as {name}")


@node.command()
def rekey(folder: Annotated[Path, typer.Argument(help="The node's folder.")]) -> None:
    """Make the key that is to succeed the node's, and the request its authority reissues by."""
    from agent.config.settings import ConfigError
    from agent.desk import nodekeys

    try:
        path = nodekeys.make_next_request(folder)
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    typer.echo(f"{path}: give this to the authority; then: bandpact node rotate CHAIN --config FILE")


@node.command("rotate")
def turn(
    chain: Annotated[Path, typer.Argument(help="The credential chain that the authority reissued.")],
    node: NodeArg = None,
    config: ConfigOption = None,
    wait: Annotated[str, typer.Option(metavar="TIME", help="How long to wait for what is undecided.")] = "30s",
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each step and nothing else.")] = False,
) -> None:
    """Have the running agent take up its next key; settled pairs go on, and the neighbours are told."""
    from agent.cli.agentcall import converse
    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from agent.desk.nodekeys import lay_successor
    from agent.node.trust import anchors_of
    from agent.words.units import parse_time
    from settlement.chain.credentials import Registry

    wait_ms = round(parse_time(wait, "--wait") * 1000)
    try:
        loaded = load_found(chosen(node, config))
        lay_successor(loaded.folder, chain, Registry(loaded.network, anchors_of(loaded)))
    except (ConfigError, OSError) as exc:
        fail(str(exc))
    converse(loaded.run_folder, as_json=as_json, do="rotate", wait_ms=wait_ms)


@node.command()
def tell(
    record: Annotated[
        Path,
        typer.Argument(
            help="What an authority's desk signed: a status list, rotation, rule, class, admission or list of members."
        ),
    ],
    node: NodeArg = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each step and nothing else.")] = False,
) -> None:
    """Give the running agent an authority's word; it judges it, goes by it and passes it on to its neighbours."""
    from agent.cli.agentcall import converse, run_folder_of
    from agent.config.settings import ConfigError
    from agent.desk.words import word_of

    try:
        raw = word_of(record)
    except ConfigError as exc:
        fail(str(exc))
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="tell", record=raw.hex())
