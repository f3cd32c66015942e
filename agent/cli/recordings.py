"""`bandpact recordings`: what a recording's licence allows, export, and deletion on time."""

import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, say

app = typer.Typer(
    cls=Listed, no_args_is_help=True, help="Hand recordings on where their licence allows it; delete them on time."
)
Meta = Annotated[Path, typer.Argument(metavar="PATH", help="The .sigmf-meta of a recording.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="A folder of recordings.")]
Json = Annotated[bool, typer.Option("--json", help="Machine output.")]


@app.command()
def licence(path: Meta, as_json: Json = False) -> None:
    """Say under which licence a recording was made, and until when it may be kept."""
    from agent.recordings.licences import licence_of
    from agent.words.celltext import utc_text
    from radio.errors import SourceError
    from settlement.market.licence import kept_until_ns

    try:
        held = licence_of(path)
    except SourceError as exc:
        fail(str(exc))
    if held is None:
        typer.echo(json.dumps(None) if as_json else f"{path}: no licence is stamped on it")
        return
    until_ns, term = kept_until_ns(held.terms, held.retention_ns, held.made_ns)
    if as_json:
        said = {"class": held.commodity, "use": held.terms.use, "redistribute": held.terms.redistribute}
        typer.echo(json.dumps(said | {"aggregate": held.terms.aggregate, "keep_until_ns": until_ns, "term": term}))
        return
    say(f"{path}: class {held.commodity}, for {', '.join(held.terms.use)}; passed on to {held.terms.redistribute}")
    say(f"  aggregates to {held.terms.aggregate}; kept until {utc_text(until_ns)} by {term}")


@app.command()
def export(
    path: Meta,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The copy's .sigmf-meta; its data goes beside it.")],
    to: Annotated[Literal["none", "parties", "authority", "public"], typer.Option(help="To whom it goes.")] = "none",
    use: Annotated[
        Literal["any", "operation", "research", "enforcement"], typer.Option(help="What it is for.")
    ] = "operation",
) -> None:
    """Copy a recording out, where its licence lets it go there for that use; exit 1 names the term that forbids it."""
    from agent.recordings import licences
    from radio.errors import SourceError

    try:
        refusal = licences.export(path, out, use=use, to=to, now_ns=time.time_ns())
    except SourceError as exc:
        fail(str(exc))
    if refusal is not None:
        fail(f"{path}: {refusal}")
    typer.echo(f"{out}: written, for {use}, to {to}")


@app.command()
def expire(
    folder: Folder,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what is due and delete nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Delete the recordings of FOLDER whose licence or class says so, and tell each in its `deleted.jsonl`.

    Recordings without a licence are left alone; one that cannot be read is left too, told of, and the exit code is 3.
    Call it from a timer.
    """
    from dataclasses import asdict

    from agent.recordings import licences

    now_ns = time.time_ns()
    if dry:
        due, left = licences.due_in(folder, now_ns)
        rows: list[dict[str, Any]] = [{"file": name, "term": term} for name, term in due]
    else:
        came = licences.expire(folder, now_ns)
        due, left = [(one.file, one.term) for one in came.deleted], list(came.left)
        rows = [asdict(one) for one in came.deleted]
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        for name, term in due:
            say(f"{name}: {'due' if dry else 'deleted'} by {term}")
        typer.echo(f"{len(due)} {'due' if dry else 'deleted'}")
    for one in left:
        say(f"left: {one}", err=True)
    if left:
        raise typer.Exit(Exit.WARNINGS)


@app.command("check")
def check_deleted(folder: Folder) -> None:
    """Check that FOLDER's `deleted.jsonl` is unbroken and that what it tells of is gone; exit 1 says where not."""
    from agent.recordings.licences import check

    count, wrong = check(folder)
    if wrong is not None:
        fail(f"{folder}: {wrong}")
    typer.echo(f"{count} deletions, the ledger is whole")
