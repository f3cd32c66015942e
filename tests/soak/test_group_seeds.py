"""Many seeds of a neighbourhood in which a group decides; GROUP_SEEDS says how many."""

import os

import pytest

from sim.world.groups import simulate_group

SEEDS = int(os.environ.get("GROUP_SEEDS", "2000"))


@pytest.mark.feature("S9")
@pytest.mark.timeout(7200)
def test_seeds_in_which_a_group_decides() -> None:
    for seed in range(40, 40 + SEEDS):
        outcome = simulate_group(seed)
        assert not outcome.breaches, f"{outcome.breaches[0]}; replay: python -m sim.world.groups --seed {seed} --trace"
