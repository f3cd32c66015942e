"""`bandpact audit`: verify lineages offline, with nothing but the files and the trust anchors."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.common import Exit, fail, interruptible, output_console, print_json

app = typer.Typer(no_args_is_help=True, help="Verify lineages offline.")


@app.callback()
def _audit() -> None:
    """Keep `verify` a command of its own."""


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
