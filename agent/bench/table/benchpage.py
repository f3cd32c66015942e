"""The benchmark table as a page: every figure, its target, its baseline, the machine, the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.bench.table.benchrow import BenchRow, BenchVerdict, number
from agent.bench.table.commands import Ran
from agent.bench.table.machine import Machine

HEADING = ("| What | Target | Ours | Beside it | Ratio | | Rests on |", "|---|---|---|---|---|---|---|")
SHOWN = {
    BenchVerdict.MET: "met",
    BenchVerdict.MISSED: "**missed**",
    BenchVerdict.UNMEASURED: "**not measured**",
    BenchVerdict.NO_TARGET: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchTable:
    """All rows of one run, with machine and time."""

    rows: tuple[BenchRow, ...]
    ran: tuple[Ran, ...]
    before: Machine
    after: Machine
    date: str
    version: str
    took_s: float
    quick: bool

    def counts(self) -> dict[str, int]:
        """Return the number of rows by verdict."""
        return {one.value: sum(row.verdict is one for row in self.rows) for one in BenchVerdict}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "date": self.date,
            "version": self.version,
            "quick": self.quick,
            "took_s": round(self.took_s, 1),
            "machine": self.before.as_dict(),
            "load_after": [self.after.load_1, self.after.load_5],
            "counts": self.counts(),
            "commands": [{"words": " ".join(one.words), "took_s": round(one.took_s, 1)} for one in self.ran],
            "rows": [row.as_dict() for row in self.rows],
        }


def page(table: BenchTable) -> str:
    """Return the page in Markdown."""
    lines = ["# Benchmarks", "", *_head(table)]
    for area in dict.fromkeys(row.area for row in table.rows):
        lines += ["", f"## {area}", "", *HEADING, *(_line(row) for row in table.rows if row.area == area)]
    lines += ["", "## What was run", "", "| Command | Took |", "|---|---|"]
    lines += [f"| `bandpact {' '.join(one.words)}` | {one.took_s:.1f} s |" for one in table.ran]
    return "\n".join(lines) + "\n"


def _head(table: BenchTable) -> Sequence[str]:
    before, after, counts = table.before, table.after, table.counts()
    how = " with `--quick`: too short to go by" if table.quick else ""
    made = f"Written by `bandpact bench table`{how} on {table.date} in {table.took_s:.0f} s, bandpact {table.version};"
    rule = (
        "nothing here is typed by hand. A ratio is ours over what stands beside it in the same run; what another asks"
    )
    rest = "for is not measured, and says so."
    machine = f"{before.cpu}, {before.cores} cores, {before.memory_gib:g} GiB; {before.system};"
    versions = f"Python {before.python}, NumPy {before.numpy}."
    loads = f"{before.load_1:g} and {before.load_5:g} before, {after.load_1:g} and {after.load_5:g} after"
    tally = ", ".join(f"{counts[one.value]} {one.value}" for one in BenchVerdict)
    return (
        f"{made} {rule} {rest}",
        "",
        f"{tally}.",
        "",
        f"{machine} {versions} Load average of 1 and 5 minutes: {loads}.",
    )


def _line(row: BenchRow) -> str:
    target = "" if row.target is None else row.target.text(row.unit)
    ours = "" if row.ours is None else f"{number(row.ours)} {row.unit}".rstrip()
    beside = row.anchor if row.beside is None else f"{number(row.beside)} ({row.anchor})"
    ratio = "" if row.ratio is None else number(row.ratio)
    cells = (row.what, target, ours, beside, ratio, SHOWN[row.verdict], row.why or row.note)
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
