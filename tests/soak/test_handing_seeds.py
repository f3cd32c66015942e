"""Many seeds of leases that change hands, with faults of every kind; HANDING_SEEDS says how many."""

import os

import pytest

from sim.world.plan import handing_plan
from sim.world.run import run_plan

SEEDS = int(os.environ.get("HANDING_SEEDS", "2000"))


@pytest.mark.timeout(14_400)
@pytest.mark.feature("M10")
def test_seeds_of_leases_that_change_hands() -> None:
    for seed in range(1000, 1000 + SEEDS):
        breaches = run_plan(handing_plan(seed)).breaches
        assert not breaches, f"seed {seed}: {breaches[0]}"
