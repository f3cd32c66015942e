"""`bandpact lease`: what lineages say of each lease, its state and every transition, refused ones included."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.common import fail, output_console, print_json
from agent.cli.sources import chosen

app = typer.Typer(no_args_is_help=True, help="Leases: their states, and every transition with its evidence.")

Logs = Annotated[
    Path | None,
    typer.Argument(metavar="SOURCE", help="A trial's folder, a node's, a log; trial-report if left out."),
]
Inside = Annotated[Path | None, typer.Option("--in", metavar="SOURCE", help="The same, for those who are used to it.")]
Anchors = Annotated[list[str] | None, typer.Option("--anchor", help="Root credential to trust, SHA-256 in hex.")]
Network = Annotated[str | None, typer.Option(help="The network's name, with --anchor.")]
AsOf = Annotated[int | None, typer.Option("--as-of-ns", help="Windows over before this are Expired (UTC ns); now.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
HERE = Path("trial-report")
GATE = "gate"


@app.command("list")
def list_leases(
    source: Logs = None,
    inside: Inside = None,
    anchor: Anchors = None,
    network: Network = None,
    as_of_ns: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """List every lease of every log."""
    from agent.audit import leases, lineages

    path = chosen(source, inside) or HERE
    now_ns = time.time_ns() if as_of_ns is None else as_of_ns
    try:
        rows = leases.listed(path, anchors=anchor, network=network, as_of_ns=now_ns)
    except lineages.AuditError as exc:
        fail(str(exc))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        refused = f", {row['refused']} refused" if row["refused"] else ""
        moves = f"{row['transitions']} transitions{refused}"
        _say(f"{row['lease'][:16]}  {row['log']}  {row['state'] or '-'}  {row['about']}  {moves}")


@app.command()
def show(
    lease: Annotated[str, typer.Argument(metavar="ID", help="The lease's id, or how it begins, in hexadecimal.")],
    source: Logs = None,
    inside: Inside = None,
    anchor: Anchors = None,
    network: Network = None,
    as_of_ns: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Show a lease as each log tells it: actor, action, states, evidence and the rule's result of each transition."""
    from agent.audit import leases, lineages

    path = chosen(source, inside) or HERE
    now_ns = time.time_ns() if as_of_ns is None else as_of_ns
    try:
        rows = leases.shown(path, lease, anchors=anchor, network=network, as_of_ns=now_ns)
    except lineages.AuditError as exc:
        fail(str(exc))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _say(f"{row['lease']}  {row['log']}  {row['state'] or '-'}  in the signed log: {row['proven']}")
        _say(f"  {row['about']}")
        for move in row["history"]:
            _say(f"  {_line(move)}")


def _line(move: dict[str, Any]) -> str:
    from agent.words.celltext import utc_text

    stays = move["refused"] or move["action"] == GATE
    went = f"stays {move['state'] or '-'}" if stays else f"{move['previous'] or '-'} to {move['state'] or '-'}"
    at = utc_text(move["arrived_ns"])
    return (
        f"#{move['entry']}  {at}  {move['actor']}  {move['action']}: {went}  {move['result']}  {move['evidence'][:16]}"
    )


def _say(text: str) -> None:
    output_console().print(text, highlight=False, markup=False)
