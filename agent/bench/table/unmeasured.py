"""Targets that no benchmark measures, each with the reason, so that the table does not omit them."""

from collections.abc import Iterator

from agent.bench.table.benchrow import BenchRow, Target
from agent.bench.table.devicerows import SILENCE


def unmeasured_rows() -> Iterator[BenchRow]:
    """Yield one row for each target."""
    yield BenchRow(
        area=SILENCE,
        what="another program moves the device, until it is muted and latched",
        unit="ms",
        target=Target(limit=100),
        why="takes the tests' foreign client: tests/soak/test_pluto_moved.py",
    )
    yield BenchRow(
        area=SILENCE,
        what="base station below, until RF is off",
        unit="s",
        target=Target(limit=60),
        why="takes a minute a time: tests/soak/test_cbrs_trial.py",
    )
    yield BenchRow(
        area=SILENCE,
        what="RF stop to the page, p95",
        unit="ms",
        target=Target(limit=250),
        why="takes a browser: tests/soak/test_page_soak.py",
    )
