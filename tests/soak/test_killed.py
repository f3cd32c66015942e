"""Kills the writer of one log two hundred times."""

from pathlib import Path

import pytest

from tests.settlement.kills import killed_many_times


@pytest.mark.timeout(1800)
def test_a_writer_killed_two_hundred_times_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert killed_many_times(tmp_path / "log.db", 200, seed=2) > 200
