"""`bandpact bench settlement`: time of a settlement between two processes."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import fail, interruptible, output_console, print_json


def settlement(
    count: Annotated[int, typer.Option(min=20, max=10_000, help="settlements timed for each number of peers")] = 200,
    peers: Annotated[
        list[int] | None, typer.Option(min=1, max=64, help="users beside the holder; may be said again")
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=64, help="settlements under way at once for the rate")] = 32,
    opened: Annotated[
        int, typer.Option("--open", min=1, max=5000, help="settlements open beside those whose cost is compared")
    ] = 1000,
    folder: Annotated[
        Path | None, typer.Option(help="where to write the logs; a disk, not memory; removed afterwards")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Time settlements between two processes, REQUEST to permit, beside the floor they cannot go below."""
    from agent.bench.settlement import run
    from agent.bench.sides import BenchError

    with interruptible(), tempfile.TemporaryDirectory(dir=folder or Path.cwd(), prefix=".bench-settlement-") as work:
        try:
            found = run(Path(work), count=count, peers=tuple(peers or (2, 8, 32)), in_flight=in_flight, opened=opened)
        except BenchError as exc:
            fail(str(exc))
    if as_json:
        print_json(found)
        return
    console = output_console()
    for part, rows in found.items():
        for row in rows:
            shown = "  ".join(f"{name} {value}" for name, value in row.items() if not isinstance(value, dict))
            if part == "profile":
                shown += "".join(f"  {kind} {percent:g} %" for kind, percent in row["percent"].items())
            console.print(f"{part:8} {shown}", highlight=False)
