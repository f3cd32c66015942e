"""Random runs, a few of the thousand in tests/soak: nothing leaves the antenna outside band, window and EIRP."""

from pathlib import Path

import pytest

from tests.radio.randomruns import Run, Stage, stage


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return stage(tmp_path_factory.mktemp("stage"))


@pytest.mark.feature("R6")
def test_thirty_random_runs(made: Stage, tmp_path: Path) -> None:
    inside = 0
    for seed in range(30):
        judged = Run(made, tmp_path, seed).go()
        outside = [one for one in judged if one.sid is None]
        assert outside == [], f"seed {seed}"
        inside += sum(one.burst.kind == "burst" for one in judged)
    assert inside > 100
