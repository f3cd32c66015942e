"""Settlements over two classes, all or none, in many seeded runs; BANDPACT_WHOLE_SEEDS says how many."""

import os
from pathlib import Path

import pytest

from tests.settlement.market.wholeseeds import Town

SEEDS = int(os.environ.get("BANDPACT_WHOLE_SEEDS", "2000"))


@pytest.mark.timeout(7200)
@pytest.mark.feature("A5")
def test_all_classes_or_none_in_many_runs(tmp_path: Path) -> None:
    broken = {seed: found for seed in range(SEEDS) if (found := Town(tmp_path / str(seed), seed).run())}
    assert broken == {}
