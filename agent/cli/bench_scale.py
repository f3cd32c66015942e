"""`bandpact bench audit`, `archive` and `identities`: cost of long logs and large directories."""

import tempfile
from functools import partial
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


def archive(
    months: Annotated[int, typer.Option(min=1, max=120, help="how long the node runs, in months")] = 60,
    scale: Annotated[
        float, typer.Option(min=1, max=20_000, help="the run is so many times shorter, and so is what is kept")
    ] = 5_000,
    lease_s: Annotated[float, typer.Option(min=1, max=240, help="transmit lease of the class, in seconds")] = 3.0,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Bytes of a busy node's log after years: on paper, from a run of two nodes in virtual time."""
    from agent.bench.archive import ArchivePlan, run

    asked = ArchivePlan(months=months, scale=scale, lease_s=lease_s)
    with interruptible(), tempfile.TemporaryDirectory(dir=folder or Path.cwd(), prefix=".bench-archive-") as work:
        found = run(asked, Path(work))
    if as_json:
        print_json(found)
        return
    hours, print_line = found["virtual_hours"], partial(output_console().print, highlight=False, soft_wrap=True)
    print_line(f"{hours} virtual hours: {months} months made {scale:g} times shorter, a lease of {lease_s:g} s")
    for side in ("holder", "user"):
        log, paper = found[side], found[side]["paper"]
        size, sealed = log["bytes"] / 1e6, log["sealed_bytes"] / 1e6
        print_line(f"{side}: {log['entries']:,} entries, {size:,.1f} MB, {sealed:,.1f} MB sealed")
        print_line(f"    opens in {log['start_cpu_s']:g} s, audit {log['audit_cpu_s']:g} s of processor time")
        millions, stubs = paper["entries"] / 1e6, paper["stubs"] / 1e6
        print_line(
            f"    {months} months on paper: {millions:,.1f} million entries, {stubs:,.1f} million of them stubs, "
            f"{paper['bytes'] / 1e9:,.1f} GB; {paper['bytes_without_retention'] / 1e9:,.1f} GB if nothing were let go"
        )


def _say(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        output_console().print(f"{name:24} {value}", highlight=False)
