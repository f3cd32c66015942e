"""`bandpact bench audit` and `bandpact bench identities`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import interruptible, output_console, print_json

AsJson = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
Folder = Annotated[Path | None, typer.Option(help="where to write; a disk, not memory; removed afterwards")]


def audit(
    entries: Annotated[int, typer.Option(min=400, max=2_000_000, help="entries in the log")] = 20_000,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Time the audit of a busy holder's log, and see whether its memory stays flat."""
    from agent.bench.auditrate import run

    with interruptible(), tempfile.TemporaryDirectory(dir=folder or Path.cwd(), prefix=".bench-audit-") as work:
        found = run(Path(work), entries=entries)
    _say(found, as_json=as_json)


def identities(
    count: Annotated[int, typer.Option(min=1000, max=2_000_000, help="identities in the large directory")] = 400_403,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="nodes of each size, in turns")] = 5,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Cost of a node with 32 neighbours in a signed directory of many identities, beside one of a thousand."""
    from agent.bench.identities import run

    with interruptible(), tempfile.TemporaryDirectory(dir=folder or Path.cwd(), prefix=".bench-identities-") as work:
        found = run(Path(work), count=count, rounds=rounds)
    _say(found, as_json=as_json)


def _say(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        output_console().print(f"{name:24} {value}", highlight=False)
