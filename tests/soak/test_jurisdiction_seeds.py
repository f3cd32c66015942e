"""Many seeds of settlements across a border under loss; JURISDICTION_SEEDS says how many."""

import os
import shutil
from pathlib import Path

import pytest

from tests.settlement.test_jurisdiction_seeds import BorderRun

SEEDS = int(os.environ.get("JURISDICTION_SEEDS", "2000"))


@pytest.mark.feature("A6")
@pytest.mark.timeout(14_400)
def test_seeds_of_a_border(tmp_path: Path) -> None:
    for seed in range(1000, 1000 + SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run = BorderRun(folder, seed)
        assert run.run() == [], f"seed {seed}"
        for member in run.border.world.members.values():
            member.party.lineage.close()
        shutil.rmtree(folder)
