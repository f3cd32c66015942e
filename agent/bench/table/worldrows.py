"""Rows of the benchmark table about virtual time."""

from collections.abc import Iterator
from typing import Any

from agent.bench.table.benchrow import BenchRow, Target

AREA = "Virtual time"
TIMES_REAL = 700.0


def world_rows(found: Any) -> Iterator[BenchRow]:
    """From `bench world`: virtual seconds for each second of one core, and seeds that broke an invariant."""
    said = f"{found['seeds']} random worlds of {found['members_mean']:g} members, {found['settled']} settlements"
    yield BenchRow(
        area=AREA,
        what="virtual time over processor time, one core",
        unit="× real",
        ours=found["virtual_over_cpu"],
        target=Target(limit=TIMES_REAL, least=True),
        note=f"{said}, every fault and every invariant on",
    )
    yield BenchRow(
        area=AREA,
        what="seeds with a broken invariant",
        unit=f"of {found['seeds']}",
        ours=found["broken"],
        target=Target(limit=0),
        note=said,
    )
