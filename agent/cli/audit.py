"""`bandpact audit`: verify lineages offline, with nothing but the files and the trust anchors."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.common import Exit, fail, interruptible, output_console, print_json

app = typer.Typer(no_args_is_help=True, help="Verify lineages offline.")


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(metavar="TRIAL_OR_LINEAGE", help="A trial's report folder, or one lineage.db.")
    ],
    anchor: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a root credential to trust, in hexadecimal; may be repeated.")
    ] = None,
    network: Annotated[str | None, typer.Option(help="The network's name, with --anchor.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Verify every record, the chain of each log, and both sides of every settlement against each other.

    Ends with 0 when everything holds, 5 when something was altered. The trust anchors come from --anchor, or from the
    anchors.txt that a trial leaves beside its lineages.
    """
    from agent import auditing  # noqa: PLC0415 - keeps --help fast

    with interruptible():
        try:
            outcome = auditing.verify(path, anchors=anchor, network=network)
        except auditing.AuditError as exc:
            fail(str(exc))
        _show(outcome, as_json=as_json)
    raise typer.Exit(Exit.OK if outcome["ok"] else Exit.TAMPERING)


Anchors = Annotated[list[str] | None, typer.Option("--anchor", help="Root credential to trust, SHA-256 in hex.")]
Network = Annotated[str | None, typer.Option(help="The network's name, with --anchor.")]
Logs = Annotated[Path, typer.Argument(metavar="TRIAL_OR_LINEAGE", help="A trial's report folder, or one lineage.db.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@app.command()
def bundle(
    path: Logs,
    out: Annotated[Path, typer.Option(help="The new file; its name ends in .bundle.")],
    anchor: Anchors = None,
    network: Network = None,
) -> None:
    """Pack lineages into one file that a regulator verifies with the trust anchors alone."""
    from agent import auditing  # noqa: PLC0415 - keeps --help fast

    if out.suffix != auditing.BUNDLE:
        fail(f"{out}: a bundle's name ends in {auditing.BUNDLE}", Exit.USAGE)
    try:
        size = auditing.bundle(path, out, anchors=anchor, network=network)
    except auditing.AuditError as exc:
        fail(str(exc))
    typer.echo(f"{out}: {size} bytes; verify with: bandpact audit verify {out} --network NAME --anchor HEX")


@app.command()
def show(
    path: Logs,
    sid: Annotated[str | None, typer.Option(help="Settlements whose id begins like this, in hexadecimal.")] = None,
    node: Annotated[str | None, typer.Option(help="Records by this author.")] = None,
    typ: Annotated[str | None, typer.Option("--type", help="Records of this type.")] = None,
    reason: Annotated[str | None, typer.Option(help="Refusals with this reason.")] = None,
    since_ns: Annotated[int | None, typer.Option(help="Arrived at or after, UTC ns.")] = None,
    until_ns: Annotated[int | None, typer.Option(help="Arrived before, UTC ns.")] = None,
    anchor: Anchors = None,
    network: Network = None,
    as_json: AsJson = False,
) -> None:
    """Show entries of lineages, every refusal with its clause, what was measured and what was required."""
    from agent import auditing  # noqa: PLC0415 - keeps --help fast

    wanted = auditing.Wanted(sid=sid, typ=typ, reason=reason, node=node, since_ns=since_ns, until_ns=until_ns)
    try:
        rows = auditing.shown(path, wanted, anchors=anchor, network=network)
    except auditing.AuditError as exc:
        fail(str(exc))
    if as_json:
        print_json(rows)
        return
    console = output_console()
    for row in rows:
        verdict = "admitted" if row["admitted"] else f"{row['reason']} [{row['clause']}] {row['measured']}"
        who = f"{row['author'] or '?'}  {row['type'] or '?'}  {(row['sid'] or '')[:16]}"
        console.print(f"{row['log']}#{row['entry']}  {who}  {verdict}", highlight=False, markup=False)


@app.command()
def replay(path: Logs, anchor: Anchors = None, network: Network = None, as_json: AsJson = False) -> None:
    """Judge every record again under the rule in force when it was signed; ends with 5 where a verdict differs."""
    from agent import auditing  # noqa: PLC0415 - keeps --help fast

    try:
        outcome = auditing.verify(path, anchors=anchor, network=network)
    except auditing.AuditError as exc:
        fail(str(exc))
    if as_json:
        print_json(outcome)
    else:
        for row in outcome["lineages"]:
            typer.echo(f"{row['file']}: {row['replayed']} verdicts reached again, {len(row['problems'])} problem(s)")
            for problem in row["problems"]:
                typer.echo(f"  {problem}")
    raise typer.Exit(Exit.OK if outcome["ok"] else Exit.TAMPERING)


@app.command()
def report(path: Logs, anchor: Anchors = None, network: Network = None, as_json: AsJson = False) -> None:
    """Sum up lineages for a regulator: what was recorded, what was refused and why, settlements, whether it holds."""
    from agent import auditing  # noqa: PLC0415 - keeps --help fast

    try:
        outcome = auditing.verify(path, anchors=anchor, network=network)
    except auditing.AuditError as exc:
        fail(str(exc))
    if as_json:
        print_json(outcome)
        return
    for row in outcome["lineages"]:
        typer.echo(f"{row['file']}: {row['records']} entries, {row['own']} its own, root {row['root']}")
        for reason, count in row["refused_by_reason"].items():
            typer.echo(f"  refused {reason}: {count}")
    typer.echo(f"settlements: {outcome['settlements']}")
    typer.echo("everything verifies" if outcome["ok"] else "something was altered: run audit verify")


def _show(outcome: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
    from rich.table import Table  # noqa: PLC0415 - keeps --help fast

    table = Table("lineage", "records", "own", "refused", "sealed", "root", "verdict")
    for row in outcome["lineages"]:
        verdict = "verified" if not row["problems"] else f"{len(row['problems'])} problem(s)"
        cells = (row["records"], row["own"], row["refused"])
        table.add_row(row["file"], *map(str, cells), "yes" if row["sealed"] else "no", row["root"][:16], verdict)
    console = output_console()
    console.print(table)
    for row in outcome["lineages"]:
        for problem in row["problems"]:
            console.print(f"  {row['file']}: {problem}", highlight=False, markup=False)
    for problem in outcome["problems"]:
        console.print(f"  {problem}", highlight=False, markup=False)
    console.print(f"settlements on record: {outcome['settlements']}", highlight=False)
    console.print("VERIFIED" if outcome["ok"] else "TAMPERED OR BROKEN: see the lines above", style="bold")
