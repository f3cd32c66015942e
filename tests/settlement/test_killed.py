"""The writer of a log dies at any point; what it acknowledged is there and the tree verifies."""

from pathlib import Path

import pytest

from tests.settlement.kills import killed_many_times


@pytest.mark.attack(47)
def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert killed_many_times(tmp_path / "log.db", 4, seed=1) > 0
