"""The whole benchmark table: runs all benchmarks within the time limit, then adds the targets not measured."""

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from agent.bench.table.benchpage import BenchTable
from agent.bench.table.commands import COMMANDS, BenchCommand, Ran, run_command
from agent.bench.table.machine import this_machine
from agent.bench.table.unmeasured import unmeasured_rows


def run(
    folder: Path,
    *,
    quick: bool,
    limit_s: float,
    tell: Callable[[str], None],
    commands: Sequence[BenchCommand] = COMMANDS,
) -> BenchTable:
    """Run every benchmark in a folder under `folder`, in at most `limit_s`; `tell` is called before each."""
    before, began_s = this_machine(), time.monotonic()
    ran: list[Ran] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".bench-table-") as work:
        for command in commands:
            left_s = limit_s - (time.monotonic() - began_s)
            tell(f"{' '.join(command.words(quick=quick))}, {max(0.0, left_s):.0f} s left")
            ran.append(run_command(command, Path(work), quick=quick, left_s=left_s))
    return BenchTable(
        rows=(*(row for one in ran for row in one.rows), *unmeasured_rows()),
        ran=tuple(ran),
        before=before,
        after=this_machine(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("bandpact"),
        took_s=time.monotonic() - began_s,
        quick=quick,
    )
