"""`bandpact directory`: serves a directory of offers and intents, or queries one."""

import json
import socket
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, interruptible, printable

app = typer.Typer(
    cls=Listed,
    no_args_is_help=True,
    help="Serve a directory of offers and intents, or ask one; nobody has to believe it.",
)
ANCHOR_DIGITS, LOOPBACK = 64, "127.0.0.1"
Node = Annotated[
    Path | None,
    typer.Argument(metavar="NODE", help="A node's folder or its node.toml: its network, anchors and directories."),
]
Url = Annotated[
    str | None,
    typer.Option(help="The directory's address, such as http://127.0.0.1:8470; the first of NODE's if not said."),
]
Anchors = Annotated[
    list[str] | None,
    typer.Option("--anchor", help="SHA-256 of a root credential to trust, in hexadecimal; may be repeated."),
]
Network = Annotated[str | None, typer.Option(help="The network's name, with --anchor.")]


@app.command()
def serve(
    node: Node = None,
    network: Network = None,
    anchor: Anchors = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port on loopback; a proxy of yours faces the world.")
    ] = 8470,
) -> None:
    """Take in signed offers and intents of one network and return them to whoever asks, until interrupted.

    It keeps nothing on disk, and only what somebody under one of the roots signed. Nodes name it in `directories`.
    Whose network and roots is said by NODE, or by --network and --anchor.
    """
    import uvicorn

    from agent.directory import server
    from agent.page.connections import BOUNDED

    name, roots, _ = _trusted(node, network, anchor)
    settings = uvicorn.Config(server.application(name, roots), log_level="error", access_log=False, **BOUNDED)
    with socket.socket() as listening, interruptible():
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, port))
        except OSError as exc:
            fail(f"cannot listen on {LOOPBACK}:{port}: {exc.strerror}; give another --port", Exit.FAILURE)
        typer.echo(f"directory of {name} at http://{LOOPBACK}:{port}; Ctrl-C ends it")
        uvicorn.Server(settings).run(sockets=[listening])


@app.command()
def find(
    node: Node = None,
    url: Url = None,
    network: Network = None,
    anchor: Anchors = None,
    intents: Annotated[bool, typer.Option("--intents", help="What is looked for, not what is offered.")] = False,
    commodity: Annotated[str | None, typer.Option("--class", help="Of this class alone.")] = None,
    band: Annotated[
        str | None, typer.Option(metavar="BAND", help="That shares some of it, such as 3550-3570MHz or 0-1Gbit/s.")
    ] = None,
    price_max: Annotated[int | None, typer.Option(min=0, help="At most so dear.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output.")] = False,
) -> None:
    """Ask a directory and show what holds of its answer: each record is verified here.

    Whose network and roots is said by NODE, or by --network and --anchor. A directory of another network says which one
    it is of, and nothing else.
    """
    from agent.directory import client
    from agent.directory.proofs import judged
    from agent.words.units import parse_amount
    from settlement.chain.scope import Band
    from settlement.market.directory import INTENTS, OFFERS, DirectoryQuery

    edges = parse_amount(band) if band is not None else None
    query = DirectoryQuery(
        kind=INTENTS if intents else OFFERS,
        commodity=commodity,
        band=Band(low_hz=edges[0], high_hz=edges[1], unit=edges[2]) if edges is not None else None,
        price_max=price_max,
    )
    name, roots, known = _trusted(node, network, anchor)
    address = url or next(iter(known), None)
    if address is None:
        fail("give --url http://HOST:PORT, or NODE with `directories` in its configuration", Exit.USAGE)
    if not address.startswith(("http://", "https://")):
        fail(f"--url: {address}; required: http://HOST:PORT", Exit.USAGE)
    found = client.find(address, query, network=name)
    if isinstance(found, str):
        fail(found)
    rows, broken = judged(found, query, name, roots)
    if as_json:
        typer.echo(json.dumps({"entries": rows, "refused": broken}))
        return
    for row in rows:
        typer.echo(printable(f"{row['who']}: {row['commodity']} {row['band']}, price {row['price']}, {row['window']}"))
    typer.echo(f"{len(rows)} entries hold; {len(broken)} do not" + "".join(f"\n  {printable(one)}" for one in broken))


def _trusted(
    node: Path | None, network: str | None, anchors: list[str] | None
) -> tuple[str, list[bytes], tuple[str, ...]]:
    """Return network, roots and directories from a node's configuration or the options; ends the command if missing."""
    if node is not None and (network or anchors):
        fail(f"{node} beside --network and --anchor: which of the two is meant? give one", Exit.USAGE)
    if node is None:
        if network is None or not anchors:
            fail("give NODE, or --network and --anchor", Exit.USAGE)
        return network, _roots(anchors), ()
    from agent.config.files import load_found
    from agent.config.settings import ConfigError

    try:
        config = load_found(node)
    except ConfigError as exc:
        fail(str(exc))
    return config.network, _roots(list(config.anchors)), tuple(config.directories)


def _roots(anchors: list[str]) -> list[bytes]:
    """Decode the anchors; ends the command where one is malformed."""
    try:
        roots = [bytes.fromhex(one) for one in anchors]
    except ValueError as exc:
        fail(f"--anchor: {exc}; give 64 hexadecimal digits", Exit.USAGE)
    if any(len(one) != len(roots[0]) or len(one) * 2 != ANCHOR_DIGITS for one in roots):
        fail(f"--anchor: {ANCHOR_DIGITS} hexadecimal digits", Exit.USAGE)
    return roots
