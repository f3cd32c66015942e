"""Many seeds of promises under loss; PROMISE_SEEDS says how many."""

import os
import shutil
from pathlib import Path

import pytest

from tests.settlement.disputes.seeds import Promises

SEEDS = int(os.environ.get("PROMISE_SEEDS", "2000"))


@pytest.mark.feature("A2")
@pytest.mark.feature("M6")
def test_seeds_of_promises(tmp_path: Path) -> None:
    for seed in range(1000, 1000 + SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run = Promises(folder, seed)
        assert run.run() == [], f"seed {seed}"
        for member in run.court.world.members.values():
            member.party.lineage.close()
        shutil.rmtree(folder)
