"""`bandpact directory`: serving one, and asking one by hand."""

import json
from typing import Annotated

import typer

from agent.cli.common import Exit, fail, interruptible, printable

app = typer.Typer(
    no_args_is_help=True, help="Serve a directory of offers and intents, or ask one; nobody has to believe it."
)
ANCHOR_DIGITS = 64
Url = Annotated[str, typer.Option(help="The directory's address, such as http://127.0.0.1:8470.")]
Anchors = Annotated[
    list[str], typer.Option("--anchor", help="SHA-256 of a root credential to trust, in hexadecimal; may be repeated.")
]
Network = Annotated[str, typer.Option(help="The network's name.")]


@app.command()
def serve(
    network: Network,
    anchor: Anchors,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port on loopback; a proxy of yours faces the world.")
    ] = 8470,
) -> None:
    """Take in signed offers and intents of one network and return them to whoever asks, until interrupted.

    It keeps nothing on disk, and only what somebody under one of the roots signed. Nodes name it in `directories`.
    """
    import uvicorn

    from agent.directory import server

    roots = _roots(anchor)
    settings = uvicorn.Config(
        server.application(network, roots), host="127.0.0.1", port=port, log_level="error", access_log=False
    )
    typer.echo(f"directory of {network} at http://127.0.0.1:{port}; Ctrl-C ends it")
    with interruptible():
        try:
            uvicorn.Server(settings).run()
        except SystemExit as exc:
            fail(f"cannot listen on 127.0.0.1:{port}; is another program there?", Exit.FAILURE)
            raise typer.Exit(Exit.FAILURE) from exc


@app.command()
def find(
    url: Url,
    network: Network,
    anchor: Anchors,
    intents: Annotated[bool, typer.Option("--intents", help="What is looked for, not what is offered.")] = False,
    commodity: Annotated[str | None, typer.Option("--class", help="Of this class alone.")] = None,
    band: Annotated[
        str | None, typer.Option(metavar="BAND", help="That shares some of it, such as 3550-3570MHz or 0-1Gbit/s.")
    ] = None,
    price_max: Annotated[int | None, typer.Option(min=0, help="At most so dear.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output.")] = False,
) -> None:
    """Ask a directory and show what holds of its answer: each record is verified here."""
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
    found = client.find(url, query)
    if isinstance(found, str):
        fail(found)
    rows, broken = judged(found, query, network, _roots(anchor))
    if as_json:
        typer.echo(json.dumps({"entries": rows, "refused": broken}))
        return
    for row in rows:
        typer.echo(printable(f"{row['who']}: {row['commodity']} {row['band']}, price {row['price']}, {row['window']}"))
    typer.echo(f"{len(rows)} entries hold; {len(broken)} do not" + "".join(f"\n  {printable(one)}" for one in broken))


def _roots(anchors: list[str]) -> list[bytes]:
    """The anchors; ends the command where one is none."""
    try:
        roots = [bytes.fromhex(one) for one in anchors]
    except ValueError as exc:
        fail(f"--anchor: {exc}; 64 hexadecimal digits", Exit.USAGE)
    if any(len(one) != len(roots[0]) or len(one) * 2 != ANCHOR_DIGITS for one in roots):
        fail(f"--anchor: {ANCHOR_DIGITS} hexadecimal digits", Exit.USAGE)
    return roots
