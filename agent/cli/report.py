"""`bandpact report`: HTML, PDF and JSON on what nodes did, from their folders and logs."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import Exit, fail, interruptible, print_json, say


def report(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE", help="Trials' folders, nodes' folders or node.toml files, logs (*.db) in any mixture."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The report's folder; report in the first source if left out.")
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", help="SHA-256 of a root credential to trust, in hexadecimal; may be repeated."),
    ] = None,
    network: Annotated[str | None, typer.Option(help="The network's name, with --anchor.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
) -> None:
    """Write a report of a run with real radios: HTML, PDF and JSON, with the same counts in each.

    What nobody measured is said to be unmeasured: no oracle stands by a real antenna. Ends with 0 where every log
    verifies, 3 where one is not sealed, 5 where something was altered.
    """
    written(sources, out, anchor=anchor, network=network, as_json=as_json)


def written(
    sources: list[Path], out: Path | None, *, anchor: list[str] | None, network: str | None, as_json: bool
) -> None:
    """Write the report, print where it is, and end with its exit code."""
    from agent.audit.sources import AuditError
    from agent.report.command import HTML, PDF, write_report
    from agent.report.evidence import folder_for

    with interruptible():
        try:
            made = write_report(sources, out or folder_for(sources), anchors=anchor, network=network)
        except AuditError as exc:
            fail(str(exc))
    result = made.result
    if as_json:
        print_json(result)
    else:
        refused, records = sum(result["refused"].values()), result["lineage"]["records"]
        say(f"{result['nodes']} logs, {records} records, {result['settled']} settled, {refused} refused")
        for problem in result["problems"]:
            say(f"  {problem}")
        for warning in result["warnings"]:
            say(f"  warning: {warning}")
        say("emissions: not measured, no oracle stood by")
        say(f"{made.folder / HTML} and {PDF}")
    if not result["verified"]:
        raise typer.Exit(Exit.TAMPERING)
    raise typer.Exit(Exit.WARNINGS if result["warnings"] else Exit.OK)
