"""A thousand random runs: nothing leaves the antenna outside band, window and EIRP."""

from pathlib import Path

import pytest

from tests.radio.randomruns import Run, stage

RUNS = 1000


@pytest.mark.feature("R6")
def test_a_thousand_random_runs(tmp_path: Path) -> None:
    made = stage(tmp_path)
    bursts = 0
    for seed in range(RUNS):
        judged = Run(made, tmp_path, seed).go()
        assert [one for one in judged if one.sid is None] == [], f"seed {seed}"
        bursts += sum(one.burst.kind == "burst" for one in judged)
    print(f"{RUNS} runs, {bursts} bursts, all inside")
    assert bursts > 10_000
