"""`bandpact bench chain`: time of log entries and records, beside a bare commit and a bare signature check."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import interruptible, output_console, print_json


def chain(
    size: Annotated[int, typer.Option(min=1000, help="Entries in the log.")] = 200_000,
    group: Annotated[int, typer.Option(min=1, help="Entries in one commit while the log is filled.")] = 256,
    rounds: Annotated[int, typer.Option(min=20, help="Repetitions of what is timed one by one.")] = 300,
    folder: Annotated[
        Path | None, typer.Option(help="Where to write the log; a disk, not memory. Removed afterwards.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Time log and records beside a bare durable commit and a bare signature check, in the same run."""
    from agent.bench.chain import run

    with interruptible(), tempfile.TemporaryDirectory(dir=folder or Path.cwd(), prefix=".bench-chain-") as work:
        found = run(Path(work), size=size, group=group, rounds=rounds)
    if as_json:
        print_json(found)
        return
    console = output_console()
    for name, value in found.items():
        console.print(f"{name:28} {value}", highlight=False)
