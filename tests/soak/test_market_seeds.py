"""Many seeds of a market under loss; MARKET_SEEDS says how many."""

import os
from pathlib import Path

import pytest

from tests.settlement.market.seeds import Market

SEEDS = int(os.environ.get("MARKET_SEEDS", "2000"))


@pytest.mark.feature("A1")
@pytest.mark.feature("A3")
@pytest.mark.feature("M3")
def test_seeds_of_the_market(tmp_path: Path) -> None:
    for seed in range(1000, 1000 + SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert Market(folder, seed).run() == [], f"seed {seed}"
